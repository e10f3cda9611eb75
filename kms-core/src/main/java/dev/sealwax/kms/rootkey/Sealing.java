package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.RootKeyException;

/**
 * What opens a root key file: a passphrase or a key of the host. Holds a copy of that secret, wiped
 * on close; used by one thread.
 */
sealed interface Sealing extends AutoCloseable permits PassphraseSealing, SuppliedKeySealing {
  int PARAMETERS_LEN = Argon2Cost.ENCODED_LEN;

  /** The method byte of the file format. */
  byte method();

  /** The parameters of a new file, {@value #PARAMETERS_LEN} bytes. */
  byte[] parameters();

  /**
   * The input key of HKDF for a file with these parameters and this salt; the caller wipes it.
   *
   * @throws RootKeyException if the parameters are not acceptable
   */
  byte[] inputKey(byte[] parameters, byte[] salt);

  @Override
  void close();
}
