package dev.sealwax.kms.store;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A process that may read a directory of keysets and not write it; tells what it can do. */
final class ReadOnlyStoreChild {
  static final KeysetId ORDERS = KeysetStoreChild.ORDERS;
  static final EncryptionContext CONTEXT = EncryptionContext.of("row", "42");

  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private ReadOnlyStoreChild() {}

  /** Works in {@code DIRECTORY/keysets}, with the root key and the envelope beside it. */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[0]);
    byte[] envelope = Files.readAllBytes(directory.resolve("envelope"));
    try (FileKeysetStore store = FileKeysetStore.at(directory.resolve("keysets"));
        Kms kms = kms(directory, store)) {
      EnvelopeCipher cipher = kms.envelopeCipher(ORDERS.value());
      System.out.println("list " + store.list(10) + store.listAfter(ORDERS, 10));
      System.out.println("load " + store.load(ORDERS).orElseThrow().revision());
      System.out.println("decrypt " + cipher.decrypt(envelope, CONTEXT).length);
      System.out.println(
          "encrypt " + cipher.decrypt(cipher.encrypt(new byte[5], CONTEXT), CONTEXT).length);
      tryToWrite(kms, store);

      var before = store.position();
      System.out.println("unchanged " + store.changesAfter(before).written());
      System.out.println("waiting");
      System.in.read();
      long end = System.nanoTime() + PATIENCE.toNanos();
      var changes = store.changesAfter(before);
      while (changes.written().isEmpty() && System.nanoTime() < end) {
        store.awaitWrite(Duration.ofSeconds(1));
        changes = store.changesAfter(before);
      }
      System.out.println("changed " + changes.written());
      System.out.println("primary " + kms.keysets().get(ORDERS.value()).primary());
      tryToWrite(kms, store);
    }
    System.out.println("end");
  }

  static Kms kms(Path directory, KeysetStore store) {
    try (KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32])) {
      return Kms.builder()
          .rootKey(LocalRootKey.open(directory.resolve("root.key"), sealingKey))
          .store(store)
          .build();
    }
  }

  private static void tryToWrite(Kms kms, FileKeysetStore store) {
    StoredKeyset stored = store.load(ORDERS).orElseThrow();
    long next = stored.revision() + 1;
    StoredKeyset following = new StoredKeyset(ORDERS, next, "{\"revision\":" + next + "}");
    StoredKeyset first = new StoredKeyset(KeysetId.of("bills"), 1, "{\"revision\":1}");
    String name = ORDERS.value();
    List.<Runnable>of(
            () -> store.replace(following),
            () -> store.create(first),
            () -> kms.keysets().create("others", KeysetTemplate.defaults()),
            () -> kms.keysets().rotate(name),
            () -> kms.keysets().publish(name),
            () -> kms.keysets().disable(name, 1))
        .forEach(ReadOnlyStoreChild::tryTo);
  }

  private static void tryTo(Runnable write) {
    try {
      write.run();
      System.out.println("WRITTEN");
    } catch (KeysetStoreException e) {
      System.out.println(
          e.reason() + (e.getMessage().contains("nothing was written") ? "" : e.getMessage()));
    }
  }
}
