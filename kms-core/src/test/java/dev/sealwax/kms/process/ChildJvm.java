package dev.sealwax.kms.process;

import dev.sealwax.kms.Kms;
import java.io.File;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Small JVMs that run a class of these tests, to be killed, traced or raced. */
public final class ChildJvm {
  private ChildJvm() {}

  /**
   * The command that runs a class of these tests.
   *
   * @param libraries a class of each library that it needs
   */
  public static List<String> command(Class<?> main, List<Class<?>> libraries, String... args) {
    String classPath =
        Stream.concat(Stream.of(main, Kms.class), libraries.stream())
            .map(ChildJvm::locationOf)
            .distinct()
            .collect(Collectors.joining(File.pathSeparator));
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-XX:-UseContainerSupport",
            "-Dslf4j.internal.verbosity=ERROR",
            "-Xmx96m",
            "-cp",
            classPath,
            main.getName()));
    command.addAll(List.of(args));
    return command;
  }

  // Where a class was really read from; its code source would name the module it is patched into.
  private static String locationOf(Class<?> type) {
    String name = type.getName().replace('.', '/') + ".class";
    URL url = type.getResource("/" + name);
    String path = url.getPath();
    return path.startsWith("file:")
        ? path.substring("file:".length(), path.indexOf("!/"))
        : path.substring(0, path.length() - name.length());
  }
}
