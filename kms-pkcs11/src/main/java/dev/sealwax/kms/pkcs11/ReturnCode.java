package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.pkcs11.ReturnCode.Rung.MODULE;
import static dev.sealwax.kms.pkcs11.ReturnCode.Rung.NONE;
import static dev.sealwax.kms.pkcs11.ReturnCode.Rung.SESSION;
import static dev.sealwax.kms.pkcs11.ReturnCode.Rung.SESSION_ONLY;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.THROTTLED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The one table from what a module returns to the reason that is reported and to what may mend it.
 *
 * <p>The codes are those of PKCS#11 2.40 and 3.1. What {@code C_Decrypt} and {@code C_UnwrapKey}
 * say about a ciphertext depends on the module, not on the code alone, and is decided where they
 * are called (see {@link #mayMeanBadCiphertext}).
 */
enum ReturnCode {
  CKR_CANCEL(0x1, UNAVAILABLE, SESSION),
  CKR_HOST_MEMORY(0x2, UNAVAILABLE, NONE),
  CKR_SLOT_ID_INVALID(0x3, UNAVAILABLE, MODULE),
  CKR_GENERAL_ERROR(0x5, UNAVAILABLE, MODULE),
  CKR_FUNCTION_FAILED(0x6, UNAVAILABLE, SESSION),
  CKR_ARGUMENTS_BAD(0x7, UNSUPPORTED, NONE),
  CKR_NO_EVENT(0x8, INTERNAL, NONE),
  CKR_NEED_TO_CREATE_THREADS(0x9, UNSUPPORTED, NONE),
  CKR_CANT_LOCK(0xA, UNSUPPORTED, NONE),
  CKR_ATTRIBUTE_READ_ONLY(0x10, UNSUPPORTED, NONE),
  CKR_ATTRIBUTE_SENSITIVE(0x11, ACCESS_DENIED, NONE),
  CKR_ATTRIBUTE_TYPE_INVALID(0x12, UNSUPPORTED, NONE),
  CKR_ATTRIBUTE_VALUE_INVALID(0x13, UNSUPPORTED, NONE),
  CKR_ACTION_PROHIBITED(0x1B, ACCESS_DENIED, NONE),
  CKR_DATA_INVALID(0x20, INTERNAL, NONE),
  CKR_DATA_LEN_RANGE(0x21, UNSUPPORTED, NONE),
  CKR_DEVICE_ERROR(0x30, UNAVAILABLE, MODULE),
  CKR_DEVICE_MEMORY(0x31, THROTTLED, NONE),
  CKR_DEVICE_REMOVED(0x32, UNAVAILABLE, MODULE),
  CKR_ENCRYPTED_DATA_INVALID(0x40, INTERNAL, NONE),
  CKR_ENCRYPTED_DATA_LEN_RANGE(0x41, INTERNAL, NONE),
  CKR_AEAD_DECRYPT_FAILED(0x42, INTERNAL, NONE),
  CKR_FUNCTION_CANCELED(0x50, UNAVAILABLE, SESSION),
  CKR_FUNCTION_NOT_PARALLEL(0x51, INTERNAL, NONE),
  CKR_FUNCTION_NOT_SUPPORTED(0x54, UNSUPPORTED, NONE),
  CKR_KEY_HANDLE_INVALID(0x60, NOT_FOUND, SESSION),
  CKR_KEY_SIZE_RANGE(0x62, UNSUPPORTED, NONE),
  CKR_KEY_TYPE_INCONSISTENT(0x63, UNSUPPORTED, NONE),
  CKR_KEY_NOT_NEEDED(0x64, INTERNAL, NONE),
  CKR_KEY_CHANGED(0x65, INTERNAL, NONE),
  CKR_KEY_NEEDED(0x66, INTERNAL, NONE),
  CKR_KEY_INDIGESTIBLE(0x67, INTERNAL, NONE),
  CKR_KEY_FUNCTION_NOT_PERMITTED(0x68, ACCESS_DENIED, NONE),
  CKR_KEY_NOT_WRAPPABLE(0x69, UNSUPPORTED, NONE),
  CKR_KEY_UNEXTRACTABLE(0x6A, ACCESS_DENIED, NONE),
  CKR_MECHANISM_INVALID(0x70, UNSUPPORTED, NONE),
  CKR_MECHANISM_PARAM_INVALID(0x71, UNSUPPORTED, NONE),
  CKR_OBJECT_HANDLE_INVALID(0x82, NOT_FOUND, SESSION),
  CKR_OPERATION_ACTIVE(0x90, INTERNAL, SESSION_ONLY),
  CKR_OPERATION_NOT_INITIALIZED(0x91, INTERNAL, SESSION_ONLY),
  CKR_PIN_INCORRECT(0xA0, ACCESS_DENIED, NONE),
  CKR_PIN_INVALID(0xA1, ACCESS_DENIED, NONE),
  CKR_PIN_LEN_RANGE(0xA2, ACCESS_DENIED, NONE),
  CKR_PIN_EXPIRED(0xA3, ACCESS_DENIED, NONE),
  CKR_PIN_LOCKED(0xA4, ACCESS_DENIED, NONE),
  CKR_SESSION_CLOSED(0xB0, UNAVAILABLE, SESSION),
  CKR_SESSION_COUNT(0xB1, THROTTLED, NONE),
  CKR_SESSION_HANDLE_INVALID(0xB3, UNAVAILABLE, SESSION),
  CKR_SESSION_PARALLEL_NOT_SUPPORTED(0xB4, INTERNAL, NONE),
  CKR_SESSION_READ_ONLY(0xB5, ACCESS_DENIED, NONE),
  CKR_SESSION_EXISTS(0xB6, INTERNAL, NONE),
  CKR_SESSION_READ_ONLY_EXISTS(0xB7, INTERNAL, NONE),
  CKR_SESSION_READ_WRITE_SO_EXISTS(0xB8, ACCESS_DENIED, NONE),
  CKR_SIGNATURE_INVALID(0xC0, INTERNAL, NONE),
  CKR_SIGNATURE_LEN_RANGE(0xC1, INTERNAL, NONE),
  CKR_TEMPLATE_INCOMPLETE(0xD0, UNSUPPORTED, NONE),
  CKR_TEMPLATE_INCONSISTENT(0xD1, UNSUPPORTED, NONE),
  CKR_TOKEN_NOT_PRESENT(0xE0, UNAVAILABLE, MODULE),
  CKR_TOKEN_NOT_RECOGNIZED(0xE1, UNAVAILABLE, MODULE),
  CKR_TOKEN_WRITE_PROTECTED(0xE2, ACCESS_DENIED, NONE),
  CKR_UNWRAPPING_KEY_HANDLE_INVALID(0xF0, NOT_FOUND, SESSION),
  CKR_UNWRAPPING_KEY_SIZE_RANGE(0xF1, UNSUPPORTED, NONE),
  CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT(0xF2, UNSUPPORTED, NONE),
  CKR_USER_ALREADY_LOGGED_IN(0x100, INTERNAL, SESSION),
  CKR_USER_NOT_LOGGED_IN(0x101, ACCESS_DENIED, SESSION),
  CKR_USER_PIN_NOT_INITIALIZED(0x102, ACCESS_DENIED, NONE),
  CKR_USER_TYPE_INVALID(0x103, ACCESS_DENIED, NONE),
  CKR_USER_ANOTHER_ALREADY_LOGGED_IN(0x104, ACCESS_DENIED, NONE),
  CKR_USER_TOO_MANY_TYPES(0x105, ACCESS_DENIED, NONE),
  CKR_WRAPPED_KEY_INVALID(0x110, INTERNAL, NONE),
  CKR_WRAPPED_KEY_LEN_RANGE(0x112, INTERNAL, NONE),
  CKR_WRAPPING_KEY_HANDLE_INVALID(0x113, NOT_FOUND, SESSION),
  CKR_WRAPPING_KEY_SIZE_RANGE(0x114, UNSUPPORTED, NONE),
  CKR_WRAPPING_KEY_TYPE_INCONSISTENT(0x115, UNSUPPORTED, NONE),
  CKR_RANDOM_SEED_NOT_SUPPORTED(0x120, UNSUPPORTED, NONE),
  CKR_RANDOM_NO_RNG(0x121, UNSUPPORTED, NONE),
  CKR_DOMAIN_PARAMS_INVALID(0x130, UNSUPPORTED, NONE),
  CKR_CURVE_NOT_SUPPORTED(0x140, UNSUPPORTED, NONE),
  CKR_BUFFER_TOO_SMALL(0x150, INTERNAL, SESSION_ONLY),
  CKR_SAVED_STATE_INVALID(0x160, INTERNAL, NONE),
  CKR_INFORMATION_SENSITIVE(0x170, ACCESS_DENIED, NONE),
  CKR_STATE_UNSAVEABLE(0x180, INTERNAL, NONE),
  CKR_CRYPTOKI_NOT_INITIALIZED(0x190, UNAVAILABLE, MODULE),
  CKR_CRYPTOKI_ALREADY_INITIALIZED(0x191, INTERNAL, NONE),
  CKR_MUTEX_BAD(0x1A0, INTERNAL, MODULE),
  CKR_MUTEX_NOT_LOCKED(0x1A1, INTERNAL, MODULE),
  CKR_NEW_PIN_MODE(0x1B0, ACCESS_DENIED, NONE),
  CKR_NEXT_OTP(0x1B1, ACCESS_DENIED, NONE),
  CKR_EXCEEDED_MAX_ITERATIONS(0x1C0, INTERNAL, NONE),
  CKR_FIPS_SELF_TEST_FAILED(0x1C1, UNAVAILABLE, MODULE),
  CKR_LIBRARY_LOAD_FAILED(0x1C2, UNAVAILABLE, MODULE),
  CKR_PIN_TOO_WEAK(0x1C3, ACCESS_DENIED, NONE),
  CKR_PUBLIC_KEY_INVALID(0x1C4, INTERNAL, NONE),
  CKR_FUNCTION_REJECTED(0x200, ACCESS_DENIED, NONE),
  CKR_TOKEN_RESOURCE_EXCEEDED(0x201, THROTTLED, NONE),
  CKR_OPERATION_CANCEL_FAILED(0x202, INTERNAL, SESSION_ONLY),
  CKR_KEY_EXHAUSTED(0x203, ACCESS_DENIED, NONE),
  /** Codes of the vendor's own, and those of later standards. */
  OTHER(-1, INTERNAL, SESSION_ONLY);

  /** The first step of the recovery ladder that may help; later ones are tried if it does not. */
  enum Rung {
    /** Nothing here mends it. */
    NONE,
    /** Another session, log in, find the key again. */
    SESSION,
    /** The same; more only if the token does not answer in a fresh session. */
    SESSION_ONLY,
    /** Finalize the module and initialize it anew, then all of the above. */
    MODULE
  }

  private static final Map<Long, ReturnCode> BY_CODE =
      Stream.of(values()).collect(Collectors.toUnmodifiableMap(c -> c.code, Function.identity()));

  private final long code;
  private final Reason reason;
  private final Rung rung;

  ReturnCode(long code, Reason reason, Rung rung) {
    this.code = code;
    this.reason = reason;
    this.rung = rung;
  }

  static ReturnCode of(long code) {
    @Nullable ReturnCode known = BY_CODE.get(code);
    return known != null ? known : OTHER;
  }

  long code() {
    return code;
  }

  Reason reason() {
    return reason;
  }

  Rung rung() {
    return rung;
  }

  /** Whether the module says outright that a ciphertext is bad. */
  boolean meansBadCiphertext() {
    return switch (this) {
      case CKR_ENCRYPTED_DATA_INVALID,
          CKR_ENCRYPTED_DATA_LEN_RANGE,
          CKR_AEAD_DECRYPT_FAILED,
          CKR_WRAPPED_KEY_INVALID,
          CKR_WRAPPED_KEY_LEN_RANGE ->
          true;
      default -> false;
    };
  }

  /**
   * Whether the module may mean a bad ciphertext and may mean something else: SoftHSM answers a
   * wrong tag with {@code CKR_GENERAL_ERROR}. Then a known ciphertext has to tell; or whoever can
   * write wrapped keys could have the module initialized anew all the time.
   */
  boolean mayMeanBadCiphertext() {
    return switch (this) {
      case CKR_GENERAL_ERROR,
          CKR_FUNCTION_FAILED,
          CKR_ARGUMENTS_BAD,
          CKR_DATA_INVALID,
          CKR_DEVICE_ERROR,
          CKR_DATA_LEN_RANGE,
          CKR_TEMPLATE_INCONSISTENT,
          CKR_ATTRIBUTE_VALUE_INVALID,
          OTHER ->
          true;
      default -> false;
    };
  }

  /** Whether it says, of a key to be made, that an attribute is none that it can have. */
  boolean meansUnwantedAttribute() {
    return switch (this) {
      case CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT ->
          true;
      default -> false;
    };
  }

  /**
   * Whether it says, of {@code C_Login}, that the token has not looked at the PIN. After any other
   * code the token may have counted a try.
   */
  boolean provesPinUnseen() {
    return switch (this) {
      case CKR_SESSION_HANDLE_INVALID,
          CKR_SESSION_CLOSED,
          CKR_DEVICE_REMOVED,
          CKR_TOKEN_NOT_PRESENT,
          CKR_CRYPTOKI_NOT_INITIALIZED ->
          true;
      default -> false;
    };
  }

  /** Whether the session of the call had ended before. */
  boolean meansLostSession() {
    return this == CKR_SESSION_HANDLE_INVALID || this == CKR_SESSION_CLOSED;
  }

  /** Whether some tokens say it of a wrong PIN, and others when they fail. */
  boolean mayMeanBadPin() {
    return switch (this) {
      case CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, CKR_ARGUMENTS_BAD, CKR_DATA_INVALID, OTHER ->
          true;
      default -> false;
    };
  }

  /** Whether it says that this PIN is not the right one. */
  boolean meansBadPin() {
    return switch (this) {
      case CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_TOO_WEAK -> true;
      default -> false;
    };
  }
}
