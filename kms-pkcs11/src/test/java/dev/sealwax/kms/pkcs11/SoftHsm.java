package dev.sealwax.kms.pkcs11;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * SoftHSM with its tokens in a directory of the test's. Its configuration is read when the module
 * is initialized, so make one while no connection is open.
 */
final class SoftHsm {
  static final String PIN = "user-pin-9351";
  private static final String SO_PIN = "officer-pin-7746";

  private final Path configuration;
  private final Path tokens;

  SoftHsm(Path directory) {
    try {
      tokens = Files.createDirectories(directory.resolve("tokens"));
      configuration = directory.resolve("softhsm2.conf");
      Files.writeString(
          configuration,
          "directories.tokendir = "
              + tokens
              + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    NativeEnvironment.set("SOFTHSM2_CONF", configuration.toString());
  }

  static Path module() {
    return Tools.library("softhsm/libsofthsm2.so");
  }

  Map<String, String> environment() {
    return Map.of("SOFTHSM2_CONF", configuration.toString());
  }

  /** Where the tokens are. */
  Path tokens() {
    return tokens;
  }

  SoftHsm withToken(String label) {
    util("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN);
    return this;
  }

  /** Makes the token with that label anew, by another process; its keys are gone. */
  void reinitialize(String label) {
    util("--init-token", "--token", label, "--label", label, "--so-pin", SO_PIN, "--pin", PIN);
  }

  /** Another process deletes a key. */
  void deleteToken(String label) {
    util("--delete-token", "--token", label);
  }

  private void util(String... arguments) {
    String[] command = new String[arguments.length + 3];
    command[0] = "softhsm2-util";
    command[1] = "--module";
    command[2] = module().toString();
    System.arraycopy(arguments, 0, command, 3, arguments.length);
    Tools.run(environment(), command);
  }

  /** A configuration for a token, and a key on it. */
  static Pkcs11Config config(String uri) {
    return Pkcs11Config.of(module(), uri).withPin(PIN::toCharArray);
  }
}
