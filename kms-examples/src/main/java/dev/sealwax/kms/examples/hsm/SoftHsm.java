package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.examples.AnotherJvm;
import dev.sealwax.kms.examples.InputException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A SoftHSM token in a directory, for whoever has no HSM at hand. It is software: it shows how a
 * token is used, and protects nothing.
 */
final class SoftHsm {
  static final String PIN_VARIABLE = "SEALWAX_PIN";

  private static final String PIN = "demo-pin-2486";
  private static final String TOKEN = "sealwax-demo";
  private static final List<String> DIRECTORIES =
      List.of(
          "/usr/lib/softhsm",
          "/usr/lib/x86_64-linux-gnu/softhsm",
          "/usr/lib/aarch64-linux-gnu/softhsm",
          "/usr/lib64/softhsm",
          "/usr/lib64/pkcs11");

  private SoftHsm() {}

  /**
   * Runs an example in another JVM on a new token: SoftHSM reads the environment of its process to
   * find its tokens, and a JVM cannot change its own.
   *
   * @param example its {@code main} takes a module, the URI of a token and the options, and the PIN
   *     from the environment
   * @return the exit code of the example
   */
  static int run(Class<?> example, Path directory, List<String> options, PrintStream out)
      throws IOException, InterruptedException {
    Path module = module();
    Map<String, String> environment = makeToken(module, directory);
    List<String> arguments = new ArrayList<>(List.of(module.toString(), "pkcs11:token=" + TOKEN));
    arguments.addAll(options);
    ProcessBuilder jvm = AnotherJvm.command(example, arguments);
    jvm.environment().putAll(environment);
    jvm.environment().put(PIN_VARIABLE, PIN);
    Process process = jvm.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (Stream<String> lines = process.inputReader(StandardCharsets.UTF_8).lines()) {
      lines.forEach(out::println);
    }
    return process.waitFor();
  }

  private static Path module() {
    return DIRECTORIES.stream()
        .map(directory -> Path.of(directory, "libsofthsm2.so"))
        .filter(Files::isRegularFile)
        .findFirst()
        .orElseThrow(() -> new InputException("SoftHSM is not here; " + REMEDY));
  }

  private static final String REMEDY =
      "install Debian's package softhsm2 (.ci/setup does), or name the module of your HSM and the"
          + " URI of a token as arguments, and its PIN in "
          + PIN_VARIABLE;

  private static Map<String, String> makeToken(Path module, Path directory)
      throws IOException, InterruptedException {
    Path tokens = Files.createDirectories(directory.resolve("tokens"));
    Path configuration =
        Files.writeString(
            directory.resolve("softhsm2.conf"),
            "directories.tokendir = " + tokens + "\nlog.level = ERROR\n");
    Map<String, String> environment = Map.of("SOFTHSM2_CONF", configuration.toString());
    ProcessBuilder util =
        new ProcessBuilder(
                List.of(
                    "softhsm2-util",
                    "--module",
                    module.toString(),
                    "--init-token",
                    "--free",
                    "--label",
                    TOKEN,
                    "--so-pin",
                    "demo-officer-1379",
                    "--pin",
                    PIN))
            .redirectErrorStream(true);
    util.environment().putAll(environment);
    Process process;
    try {
      process = util.start();
    } catch (IOException e) {
      throw new InputException("softhsm2-util is not here; " + REMEDY);
    }
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new InputException("softhsm2-util could not make a token: " + printed);
    }
    return environment;
  }
}
