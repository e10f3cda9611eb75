package dev.sealwax.kms.examples.benchmark;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.InMemoryKeysetStore;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Very many keysets in one process: time to open the first and all of them, memory held, cost of
 * one message.
 */
final class ManyKeysets {
  private static final int MESSAGE_BYTES = 64;

  private ManyKeysets() {}

  static String table(ChildJvm jvm) throws Exception {
    StringBuilder out =
        new StringBuilder(
                "| keysets in one process | opening the process, ms | first message of each, us |")
            .append(
                " heap per keyset in use, bytes | encrypt 64 B, us (Tink) | decrypt 64 B, us (Tink)"
                    + " |\n")
            .append("|---|---|---|---|---|---|\n");
    for (int keysets : List.of(jvm.scale().keysets() / 100, jvm.scale().keysets())) {
      // At least ten, for the smallest scale.
      int count = Math.max(10, keysets);
      Figures figures = jvm.repeat(ManyKeysets.class, Integer.toString(count));
      out.append(
          Figures.format(
              "| %,d | %.1f | %.1f | %.0f | %.2f (%.2f) | %.2f (%.2f) |\n",
              count,
              figures.of("open"),
              figures.of("first"),
              figures.of("heap"),
              figures.of("encrypt"),
              figures.of("tink encrypt"),
              figures.of("decrypt"),
              figures.of("tink decrypt")));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Exception {
    Scale scale = Scale.valueOf(arguments[0]);
    int count = Integer.parseInt(arguments[2]);
    KeysetStore store = InMemoryKeysetStore.create();
    RootKey root = Sealwax.rootKey(Path.of(arguments[1]));
    try (Kms owner = open(root, store, count)) {
      List<String> names = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        names.add(Figures.format("tenant-%06d", i));
        owner.keysets().create(names.get(i), KeysetTemplate.defaults());
      }
      long stored = usedHeap();
      // What a process finds that starts now: documents in the store, nothing in memory.
      long start = System.nanoTime();
      try (Kms kms = open(root, store, count)) {
        Figures.report("open", (System.nanoTime() - start) / 1e6);
        measure(scale, kms, names, stored);
      }
    }
  }

  private static Kms open(RootKey root, KeysetStore store, int count) {
    CachePolicy roomForAll = CachePolicy.of(Duration.ofHours(1), Duration.ofHours(2), 2 * count);
    return Kms.builder()
        .rootKey(root)
        .store(store)
        .keyVersions(roomForAll)
        .dataKeys(
            DataKeyPolicy.defaults().withEncryptCache(roomForAll).withDecryptCache(roomForAll))
        .build();
  }

  private static void measure(Scale scale, Kms kms, List<String> names, long stored)
      throws Exception {
    List<EnvelopeCipher> ciphers = new ArrayList<>();
    List<byte[]> sealed = new ArrayList<>();
    byte[] message = new byte[MESSAGE_BYTES];
    long start = System.nanoTime();
    for (String name : names) {
      EnvelopeCipher cipher = kms.envelopeCipher(name);
      ciphers.add(cipher);
      sealed.add(cipher.encrypt(message, Column.CONTEXT));
    }
    Figures.report("first", (System.nanoTime() - start) / 1e3 / names.size());
    long envelopes = (long) sealed.size() * sealed.get(0).length;
    Figures.report("heap", (double) (usedHeap() - stored - envelopes) / names.size());

    // The control: memory that does not fit the processor's caches slows down any library.
    List<TinkColumn> tink = new ArrayList<>();
    List<byte[]> tinkSealed = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      tink.add(TinkColumn.plain());
      tinkSealed.add(tink.get(i).encrypt(message));
    }
    Random order = new Random(42);
    Interleave instrument =
        Interleave.of(
            List.of(
                () -> ciphers.get(order.nextInt(ciphers.size())).encrypt(message, Column.CONTEXT),
                () -> {
                  int i = order.nextInt(ciphers.size());
                  return ciphers.get(i).decrypt(sealed.get(i), Column.CONTEXT);
                },
                () -> tink.get(order.nextInt(tink.size())).encrypt(message),
                () -> {
                  int i = order.nextInt(tink.size());
                  return tink.get(i).decrypt(tinkSealed.get(i));
                }));
    instrument.run(scale.cell());
    Interleave.Turns turns = instrument.run(scale.cell());
    Figures.report("encrypt", turns.micros(0));
    Figures.report("decrypt", turns.micros(1));
    Figures.report("tink encrypt", turns.micros(2));
    Figures.report("tink decrypt", turns.micros(3));
  }

  private static long usedHeap() {
    System.gc();
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }
}
