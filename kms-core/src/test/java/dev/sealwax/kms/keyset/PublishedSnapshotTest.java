package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.cache.KeyCache;
import dev.sealwax.kms.cache.TestTimer;
import dev.sealwax.kms.crypto.KeyClosedException;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.KeysetReader.Loaded;
import dev.sealwax.kms.keyset.KeysetWriter.Proposal;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.KeysetCorruptedException;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.security.SecureRandom;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What is published, and until when; whatever is not, or not any more, is wiped. */
final class PublishedSnapshotTest {
  private static final KeysetId ORDERS = KeysetId.of("orders");
  private static final byte[] KEK = new byte[32];

  private final ManualTime time = new ManualTime();
  private final ScriptedRootKey root = new ScriptedRootKey("test:one");
  private final CachePolicy policy = CachePolicy.of(Rig.SOFT, Rig.HARD, 10);
  private final KeyCache<VersionId, KeyEncryptionKey> keys =
      new KeyCache<>(policy, time, Runnable::run, TestTimer.SHARED);
  private final PublishedSnapshot published = new PublishedSnapshot(ORDERS, shared());
  private final Keyset first =
      KeysetJson.read(
          TestKeysets.stored(
              ORDERS, 1, List.of(new TestKeysets.Version(KeyState.ENABLED, KEK)), root));
  private final Keyset second = first.next(1, first.versions());
  private final DocumentKey own = DocumentKey.random(new SecureRandom());
  private final DocumentKey other = DocumentKey.random(new SecureRandom());
  private final KeyEncryptionKey key = TestKeysets.keyEncryptionKey(1, KEK);

  private OpenKeyset.Shared shared() {
    ScriptedStore store = new ScriptedStore();
    Announcer announcer = new Announcer(null);
    RootCalls calls = new RootCalls(root, announcer, time, (keyset, version, wrapped) -> {});
    return new OpenKeyset.Shared(
        new KeysetReader(store, calls, announcer),
        calls,
        keys,
        policy,
        time,
        time,
        new Background(time, Runnable::run, Runnable::run, task -> {}, TestTimer.SHARED),
        null,
        new UsageReports(new KeysetWriter(store), time, Runnable::run),
        Rig.REFRESH.toNanos(),
        Rig.HARD.toNanos());
  }

  @AfterEach
  void close() {
    published.close();
    keys.close();
  }

  private static Loaded loaded(Keyset keyset, DocumentKey key, @Nullable KeyEncryptionKey kek) {
    return new Loaded(keyset, "mac of " + keyset.revision(), key, kek);
  }

  private boolean isWiped(DocumentKey documentKey) {
    String body = KeysetJson.body(first);
    try {
      documentKey.seal(body);
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  private static void assertWiped(KeyEncryptionKey wiped) {
    assertThrows(KeyClosedException.class, () -> wiped.wrap(new byte[32]));
  }

  @Test
  void keyOfAnEarlierDocument_servesReadsUnderWayUntilClose() {
    published.publish(loaded(first, own, null), 0);
    published.publish(loaded(second, other, key), 1);
    assertTrue(!isWiped(own) && !isWiped(other));
    assertSame(key, keys.getIfPresent(new VersionId(ORDERS, 1)).value());
    published.close();
    assertTrue(isWiped(own), "retired");
    assertTrue(isWiped(other), "current");
  }

  @Test
  void keyThatWasUnwrappedBeforeADenial_isWiped() {
    published.publish(loaded(first, own, null), 0);
    WrappedKey wrapped = first.version(1).orElseThrow().wrapped();
    assertTrue(published.deny(1, wrapped));
    published.publish(loaded(second, own, key), time.getAsLong() - 1);
    assertNull(keys.getIfPresent(new VersionId(ORDERS, 1)));
    assertWiped(key);
  }

  @Test
  void keyThatWasUnwrappedAfterADenial_isKept() {
    published.publish(loaded(first, own, null), 0);
    published.deny(1, first.version(1).orElseThrow().wrapped());
    published.publish(loaded(second, own, key), time.getAsLong() + 1);
    assertSame(key, keys.getIfPresent(new VersionId(ORDERS, 1)).value());
  }

  @Test
  void olderRevision_isDroppedWithItsKeys() {
    published.publish(loaded(second, own, null), 0);
    assertEquals(2, published.publish(loaded(first, other, key), 1).keyset().revision());
    assertTrue(isWiped(other) && !isWiped(own));
    assertWiped(key);
  }

  @Test
  void anotherDocumentOfTheSameRevision_isRefusedAndDroppedWithItsKeys() {
    published.publish(loaded(first, own, null), 0);
    Loaded twin = new Loaded(first, "another mac", other, key);
    assertThrows(KeysetCorruptedException.class, () -> published.publish(twin, 1));
    assertTrue(isWiped(other) && !isWiped(own));
    assertWiped(key);
  }

  @Test
  void whatComesAfterClose_isRefusedAndDroppedWithItsKeys() {
    published.close();
    assertThrows(IllegalStateException.class, () -> published.publish(loaded(first, own, key), 0));
    assertTrue(isWiped(own));
    assertWiped(key);
  }

  @Test
  void olderWordOfTheStore_doesNotTakeBackWhatALaterReadKnows() {
    Snapshot early = published.publish(loaded(first, own, null), 10);
    Snapshot later = published.publish(loaded(first, own, null), 20);
    assertEquals(20, later.knownNanos());
    assertSame(later, published.confirm(early, 15, 16));
    assertSame(later, published.get());
  }

  @Test
  void proposalThatIsNotWritten_isDroppedWithItsOwnKeys() {
    Snapshot snapshot = published.publish(loaded(first, own, null), 0);
    new Proposal(second, own, null).discard(snapshot);
    assertTrue(!isWiped(own), "the snapshot's");
    new Proposal(second, other, key).discard(snapshot);
    assertTrue(isWiped(other));
    assertWiped(key);
  }
}
