package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;

/**
 * Where the user PIN of a token comes from. It is asked at each login, the first and those after a
 * failure; Sealwax wipes what it gets and keeps nothing.
 *
 * <p>Called by threads of Sealwax that have the context class loader of whoever opened the token,
 * one at a time for each module. It must answer at once: it is waited for within the timeout of a
 * call.
 */
@FunctionalInterface
public interface PinSource {
  /**
   * The PIN, in an array made for this call; ownership passes.
   *
   * @throws dev.sealwax.kms.vocabulary.RootKeyException with {@code ACCESS_DENIED} if there is none
   */
  char[] pin();

  /**
   * The content of a file, UTF-8, without a line break at its end. It is read at each login, so
   * writing a new PIN to it is enough. A file that everybody may read is refused.
   */
  static PinSource file(Path file) {
    return new PinFile(file);
  }

  /**
   * An environment variable. Prefer a file: the environment is shown by {@code /proc}, inherited by
   * child processes, and cannot be wiped.
   */
  static PinSource environment(String variable) {
    return PinFile.ofEnvironment(variable, System::getenv);
  }
}
