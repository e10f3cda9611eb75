package dev.sealwax.kms.store;

import dev.sealwax.kms.process.ChildJvm;
import dev.sealwax.kms.process.Scripts;
import dev.sealwax.kms.vocabulary.KeysetConflictException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * A process that works on a file store, to be killed, starved of its disk, or raced with another
 * one.
 */
final class KeysetStoreChild {
  static final KeysetId ORDERS = KeysetId.of("orders");
  static final int REVISIONS = 3;
  static final String READY = "ready";

  private KeysetStoreChild() {}

  /**
   * {@code increment DIRECTORY COUNT}, which waits for a byte and then tells how often another
   * process was faster, {@code hold DIRECTORY}, {@code open DIRECTORY}, or {@code scripts SCRATCH
   * SIZE} for {@link Scripts}.
   */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[1]);
    switch (args[0]) {
      case "increment" -> increment(directory, Integer.parseInt(args[2]));
      case "scripts" -> {
        int size = Integer.parseInt(args[2]);
        Scripts.serve(directory, (place, out) -> script(place, size, out));
      }
      case "hold" -> hold(directory);
      case "open" -> FileKeysetStore.at(directory).close();
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** The command that runs this class in a small JVM. */
  static List<String> command(String... args) {
    return ChildJvm.command(
        KeysetStoreChild.class,
        List.of(com.fasterxml.jackson.core.JsonFactory.class, org.slf4j.Logger.class),
        args);
  }

  /** The command of a process for {@link dev.sealwax.kms.process.TracedChild}. */
  static List<String> scripts(Path scratch, int size) {
    return command("scripts", scratch.toString(), Integer.toString(size));
  }

  /** The document of a revision: created, grown by a rotation, shrunk to a tombstone. */
  static StoredKeyset keyset(int revision, int size) {
    int length = revision == 2 ? 2 * size : revision == 3 ? size / 4 : size;
    String filling = Integer.toString(revision).repeat(length);
    return new StoredKeyset(
        ORDERS, revision, "{\"filling\":\"" + filling + "\",\"revision\":" + revision + "}");
  }

  private static void increment(Path directory, int count) throws IOException {
    long conflicts = 0;
    try (FileKeysetStore store = FileKeysetStore.at(directory)) {
      System.out.println(READY);
      System.in.read();
      for (int written = 0; written < count; ) {
        long next = store.load(ORDERS).orElseThrow().revision() + 1;
        try {
          store.replace(
              new StoredKeyset(ORDERS, next, "{\"revision\":" + next + ",\"state\":\"x\"}"));
          written++;
        } catch (KeysetConflictException e) {
          conflicts++; // the other process was faster: load again
        }
      }
    }
    System.out.println(conflicts);
  }

  private static void hold(Path directory) throws IOException {
    KeysetDirectory files = KeysetDirectory.open(directory);
    DirectoryLock lock = DirectoryLock.join(files.key());
    lock.lock(files.lockFile(), Duration.ofSeconds(5));
    System.out.println("holding");
    System.in.read();
    lock.unlock();
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
