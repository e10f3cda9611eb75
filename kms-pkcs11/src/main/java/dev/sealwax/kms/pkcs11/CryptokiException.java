package dev.sealwax.kms.pkcs11;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Locale;

/** A function of the module returned something other than {@code CKR_OK}. */
final class CryptokiException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final CkFunction function;
  private final ReturnCode code;

  CryptokiException(CkFunction function, long code) {
    this(function, ReturnCode.of(code), describe(function, code));
  }

  private CryptokiException(CkFunction function, ReturnCode code, String message) {
    super(message);
    this.function = function;
    this.code = code;
  }

  /** A condition that a function reports without an error code, such as an empty list. */
  static CryptokiException absent(CkFunction function, ReturnCode code, String what) {
    return new CryptokiException(function, code, what);
  }

  private static String describe(CkFunction function, long code) {
    ReturnCode known = ReturnCode.of(code);
    String number = String.format(Locale.ROOT, "0x%08X", code);
    return known == ReturnCode.OTHER
        ? function + " returned " + number
        : function + " returned " + known + " (" + number + ")";
  }

  CkFunction function() {
    return function;
  }

  ReturnCode code() {
    return code;
  }

  /** This failure in the words of the SPI. */
  RootKeyException translated(String doing) {
    return new RootKeyException(code.reason(), doing + ": " + getMessage(), this);
  }
}
