package dev.sealwax.kms.examples;

import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Starts an example in a JVM of its own, for those that are about several processes. */
public final class AnotherJvm {
  private AnotherJvm() {}

  /** Runs {@code example}'s {@code main}; what it says on its standard output is the caller's. */
  static Process start(Class<?> example, List<String> arguments) throws IOException {
    return command(example, arguments).redirectError(Redirect.DISCARD).start();
  }

  /** What would run {@code example}'s {@code main}. */
  public static ProcessBuilder command(Class<?> example, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", classPath(example), example.getName()));
    command.addAll(arguments);
    return new ProcessBuilder(command);
  }

  /** Maven runs examples in its own JVM, whose class path is not theirs. */
  private static String classPath(Class<?> example) throws IOException {
    if (!(example.getClassLoader() instanceof URLClassLoader loader)) {
      return System.getProperty("java.class.path");
    }
    List<String> places = new ArrayList<>();
    try {
      for (URL url : loader.getURLs()) {
        places.add(Path.of(url.toURI()).toString());
      }
    } catch (URISyntaxException e) {
      throw new IOException("this class path cannot be given to another JVM", e);
    }
    return String.join(File.pathSeparator, places);
  }
}
