/** Root keys in an HSM, through PKCS#11. */
// javac dislikes digits at the end of a module name. This one is the name of the standard.
// JNA's main jar is an automatic module; it appears in no signature.
@SuppressWarnings({"module", "requires-automatic"})
module dev.sealwax.kms.pkcs11 {
  exports dev.sealwax.kms.pkcs11;

  requires transitive dev.sealwax.kms.core;
  requires com.sun.jna;
  requires org.slf4j;
  // Annotations in signatures, which only compilers and checkers read.
  requires static transitive org.jspecify;
}
