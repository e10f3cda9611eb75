package dev.sealwax.kms.store;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.ManualTime;
import dev.sealwax.kms.process.Scripts;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.testkit.ForwardingKeysetStore;
import dev.sealwax.kms.testkit.ForwardingRootKey;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;

/** A process of scripts, as {@link KeysetStoreChild} is, in which the operator's verbs write. */
final class KeysetVerbsChild {
  static final String ORDERS = "orders";

  /** Create, rotate, schedule the destruction of version 1, carry it out. */
  static final int VERBS = 4;

  /** After that a version may be destroyed. */
  static final Duration WINDOW = KeysetTemplate.defaults().destructionWindow();

  private KeysetVerbsChild() {}

  /** {@code SCRATCH ROOT-KEY-FILE}. */
  public static void main(String[] args) throws Exception {
    try (RootKey root = openRootKey(Path.of(args[1]))) {
      Scripts.serve(Path.of(args[0]), (directory, out) -> script(directory, root, out));
    }
  }

  static RootKey openRootKey(Path file) {
    try (KeyMaterial sealingKey = KeyMaterial.owning(new byte[32])) {
      return LocalRootKey.open(file, sealingKey);
    }
  }

  static List<String> command(Path scratch, Path rootKey) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Xshare:auto",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-Xmx96m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", // to log is a system call of the script
        "-cp",
        System.getProperty("java.class.path"),
        KeysetVerbsChild.class.getName(),
        scratch.toString(),
        rootKey.toString());
  }

  /** A {@link Kms} that calls the store for its verbs only, and leaves the root key open. */
  static Kms open(Path directory, RootKey root, Clock clock) {
    return Kms.builder()
        .rootKey(
            new ForwardingRootKey(root) {
              @Override
              public void close() {}
            })
        // One that need not be watched, or other threads would read as well.
        .store(new ForwardingKeysetStore(FileKeysetStore.at(directory)) {})
        .clock(clock)
        .build();
  }

  /**
   * All verbs; each that fails is reported and done again if, after a look at the keyset, it has
   * not taken effect.
   */
  private static void script(Path directory, RootKey root, PrintStream out) {
    ManualTime clock = new ManualTime();
    try (Kms kms = open(directory, root, clock, out)) {
      for (int verb = 1; verb <= VERBS; verb++) {
        if (verb == VERBS) {
          clock.advance(WINDOW);
        }
        try {
          apply(kms, verb);
        } catch (KeysetStoreException e) {
          out.println("fail " + verb + " " + e.reason() + " " + e.getMessage());
          long found = revision(kms);
          out.println("found " + found);
          if (found < verb) {
            apply(kms, verb);
          }
        }
        out.println("ack " + verb);
      }
    }
  }

  private static Kms open(Path directory, RootKey root, Clock clock, PrintStream out) {
    try {
      return open(directory, root, clock);
    } catch (KeysetStoreException e) {
      out.println("fail open " + e.reason() + " " + e.getMessage());
      return open(directory, root, clock);
    }
  }

  private static Keyset apply(Kms kms, int verb) {
    return switch (verb) {
      case 1 -> kms.keysets().create(ORDERS, KeysetTemplate.defaults());
      case 2 -> kms.keysets().rotate(ORDERS);
      case 3 -> kms.keysets().scheduleDestruction(ORDERS, 1);
      case VERBS -> kms.keysets().destroy(ORDERS, 1);
      default -> throw new IllegalArgumentException("verb " + verb);
    };
  }

  /** How many verbs have taken effect. */
  static long revision(Kms kms) {
    try {
      return kms.keysets().get(ORDERS).revision();
    } catch (KeysetStoreException e) {
      if (e.reason() == Reason.NOT_FOUND) {
        return 0;
      }
      throw e;
    }
  }
}
