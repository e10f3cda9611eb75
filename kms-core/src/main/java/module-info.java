/**
 * Envelope encryption and key management.
 *
 * <p>The packages in order are the way of the data: façade, bulk rewrap, envelopes, keysets, their
 * stores, root keys, vocabulary. Guards, caches and ciphers live in packages that are not exported.
 */
// Automatic modules: the driver, which is there only if the application has it, and the circuit
// breaker, which shows in no signature.
@SuppressWarnings("requires-automatic")
module dev.sealwax.kms.core {
  exports dev.sealwax.kms;
  exports dev.sealwax.kms.envelope;
  exports dev.sealwax.kms.keyset;
  exports dev.sealwax.kms.rewrap;
  exports dev.sealwax.kms.rootkey;
  exports dev.sealwax.kms.store;
  exports dev.sealwax.kms.vocabulary;

  // DataSource, in the signatures of the store in a database.
  requires transitive java.sql;
  requires com.fasterxml.jackson.core;
  requires com.github.benmanes.caffeine;
  requires io.github.resilience4j.circuitbreaker;
  requires io.github.resilience4j.core;
  requires org.bouncycastle.provider;
  requires org.slf4j;
  // Annotations in signatures, which only compilers and checkers read.
  requires static transitive org.jspecify;
  // One class that listens to PostgreSQL, when the application has its driver.
  requires static org.postgresql.jdbc;
}
