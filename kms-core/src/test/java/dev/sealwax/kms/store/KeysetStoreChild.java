package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A process that works on a file store, to be killed, starved of its disk, or raced with another
 * one.
 */
final class KeysetStoreChild {
  static final KeysetId ORDERS = KeysetId.of("orders");
  static final int REVISIONS = 3;
  static final String THREAD = "thread ";
  static final String DONE = "done";
  private static final int WARM_UPS = 3;

  private KeysetStoreChild() {}

  /**
   * {@code increment DIRECTORY COUNT}, {@code hold DIRECTORY}, or {@code scripts SCRATCH SIZE},
   * which prints its thread and then runs the script in each directory that it is given as a line.
   */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[1]);
    switch (args[0]) {
      case "increment" -> increment(directory, Integer.parseInt(args[2]));
      case "scripts" -> scripts(directory, Integer.parseInt(args[2]));
      case "hold" -> hold(directory);
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** The command that runs this class in a small JVM. */
  static List<String> command(String... args) {
    return command(
        KeysetStoreChild.class,
        List.of(com.fasterxml.jackson.core.JsonFactory.class, org.slf4j.Logger.class),
        args);
  }

  /** The command that runs a class of these tests in a small JVM, with the libraries of others. */
  static List<String> command(Class<?> main, List<Class<?>> libraries, String... args) {
    String classPath =
        Stream.concat(Stream.of(main, FileKeysetStore.class), libraries.stream())
            .map(KeysetStoreChild::locationOf)
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

  /** The document of a revision: created, grown by a rotation, shrunk to a tombstone. */
  static StoredKeyset keyset(int revision, int size) {
    int length = revision == 2 ? 2 * size : revision == 3 ? size / 4 : size;
    String filling = Integer.toString(revision).repeat(length);
    return new StoredKeyset(
        ORDERS, revision, "{\"filling\":\"" + filling + "\",\"revision\":" + revision + "}");
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

  private static void increment(Path directory, int count) {
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      for (int written = 0; written < count; ) {
        long next = store.load(ORDERS).orElseThrow().revision() + 1;
        try {
          store.replace(
              new StoredKeyset(ORDERS, next, "{\"revision\":" + next + ",\"state\":\"x\"}"));
          written++;
        } catch (KeysetConflictException e) {
          // The other process was faster: load again.
        }
      }
    }
    System.out.println("incremented " + count);
  }

  private static void hold(Path directory) throws IOException {
    KeysetDirectory files = KeysetDirectory.open(directory);
    DirectoryLock lock = DirectoryLock.join(files.key());
    lock.lock(files.lockFile(), Duration.ofSeconds(5));
    System.out.println("holding");
    System.in.read();
    lock.unlock();
  }

  private static void scripts(Path scratch, int size) throws IOException {
    PrintStream nowhere =
        new PrintStream(PrintStream.nullOutputStream(), true, StandardCharsets.US_ASCII);
    // Classes are loaded by now, so that every call of a script is the store's.
    for (int i = 0; i < WARM_UPS; i++) {
      script(scratch.resolve("warm-up-" + i), size, nowhere);
    }
    BufferedReader directories =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    System.out.println(THREAD + Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName());
    for (String line; (line = directories.readLine()) != null; ) {
      script(Path.of(line), size, System.out);
      System.out.println(DONE);
    }
  }

  /**
   * Create, rotate, destroy; every call that fails is reported and, after a look at the store, done
   * again.
   */
  private static void script(Path directory, int size, PrintStream out) {
    FileKeysetStore store;
    try {
      store = FileKeysetStore.at(directory);
    } catch (KeysetStoreException e) {
      out.println("fail open " + e.reason() + " " + e.getMessage());
      store = FileKeysetStore.at(directory);
    }
    for (int revision = 1; revision <= REVISIONS; revision++) {
      StoredKeyset next = keyset(revision, size);
      try {
        write(store, next);
      } catch (KeysetStoreException e) {
        out.println("fail " + revision + " " + e.reason() + " " + e.getMessage());
        long stored = store.load(ORDERS).map(StoredKeyset::revision).orElse(0L);
        out.println("found " + stored);
        if (stored < revision) {
          write(store, next);
        }
      }
      out.println("ack " + revision);
    }
    store.close();
  }

  private static void write(FileKeysetStore store, StoredKeyset next) {
    if (next.revision() == 1) {
      store.create(next);
    } else {
      store.replace(next);
    }
  }
}
