package dev.sealwax.kms.pkcs11;

import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;

/** The environment that native code in this process sees; {@code System.getenv} does not. */
final class NativeEnvironment {
  private static final Function SETENV = NativeLibrary.getInstance("c").getFunction("setenv");

  private NativeEnvironment() {}

  static void set(String name, String value) {
    if (SETENV.invokeInt(new Object[] {name, value, 1}) != 0) {
      throw new IllegalStateException("setenv failed");
    }
  }
}
