/** A keyset as an Aead of Tink, and Tink's envelopes moved under a keyset. */
// Tink and protobuf are automatic modules with stable names. Tink's types stand in signatures:
// being used through them is what this module is for.
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"})
module dev.sealwax.kms.tink {
  exports dev.sealwax.kms.tink;

  requires transitive dev.sealwax.kms.core;
  requires transitive com.google.crypto.tink;
  requires com.google.protobuf;
  // Annotations in signatures, which only compilers and checkers read.
  requires static transitive org.jspecify;
}
