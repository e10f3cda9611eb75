package dev.sealwax.kms.pkcs11;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** NSS softokn with its database in a directory of the test's. */
final class Nss {
  static final String TOKEN = "pkcs11:token=NSS%20Certificate%20DB";
  private static final String PIN = "nss-pin-5813";

  private static final String FEW_ITERATIONS = "NSS_MAX_MP_PBE_ITERATION_COUNT";

  private final String database;

  Nss(Path directory) {
    try {
      Path pin = Files.writeString(directory.resolve("pin"), PIN);
      database = "sql:" + Files.createDirectories(directory.resolve("nss"));
      // NSS derives a key from the PIN for each use of a private key, slowly on purpose.
      NativeEnvironment.set(FEW_ITERATIONS, "1");
      Tools.run(
          Map.of(FEW_ITERATIONS, "1"), "certutil", "-N", "-d", database, "-f", pin.toString());
      Files.delete(pin);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Pkcs11Config config(String uri) {
    return Pkcs11Config.of(Tools.library("libsoftokn3.so", "nss/libsoftokn3.so"), uri)
        .withModuleArguments(
            "configdir='"
                + database
                + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=readWrite")
        .withPin(PIN::toCharArray);
  }
}
