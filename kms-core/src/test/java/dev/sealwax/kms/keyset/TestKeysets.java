package dev.sealwax.kms.keyset;

import dev.sealwax.kms.crypto.KeyWrap;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Keysets with given keys in given states, as no verb would make them. Stateless. */
public final class TestKeysets {
  private static final Instant MADE = Instant.parse("2026-01-01T00:00:00Z");

  /**
   * A version to be; its number is its place in the list.
   *
   * @param kek 32 bytes; null if destroyed
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Version(KeyState state, byte @Nullable [] kek) {}

  private TestKeysets() {}

  /** One that nobody withdraws. */
  public static RootConsent consent() {
    return new RootConsent();
  }

  /** The first revision of a keyset, its keys wrapped by {@code root} and authenticated. */
  public static StoredKeyset stored(
      KeysetId id, int primary, List<Version> versions, RootKey root) {
    RootCalls calls =
        new RootCalls(
            root, new Announcer(null), System::nanoTime, (keyset, version, wrapped) -> {});
    try (DocumentKey documentKey = DocumentKey.random(new SecureRandom())) {
      List<KeyVersion> made = new ArrayList<>();
      for (Version version : versions) {
        int number = made.size() + 1;
        byte[] kek = version.kek();
        WrappedKey wrapped = null;
        if (kek != null) {
          byte[] secret = Arrays.copyOf(kek, VersionSecret.BYTES);
          documentKey.copyTo(secret, kek.length);
          try (VersionSecret material = new VersionSecret(KeyMaterial.owning(secret))) {
            wrapped = calls.wrap(id, number, material, RootKeyRule.any());
          }
        }
        KeyState state = version.state();
        KeyVersion.Parts parts = new KeyVersion.Parts(number, state, MADE, wrapped);
        parts.primaryAt = number == primary ? MADE : null;
        parts.compromised = state == KeyState.COMPROMISED;
        parts.destroyAt = state == KeyState.DESTRUCTION_SCHEDULED ? MADE : null;
        parts.destroyedAt = state == KeyState.DESTROYED ? MADE : null;
        made.add(parts.join());
      }
      Keyset keyset =
          Keyset.of(id, 1, KeysetTemplate.defaults(), null, null, MADE, primary, 0, made);
      return new StoredKeyset(id, 1, documentKey.seal(KeysetJson.body(keyset)));
    }
  }

  /** A key version on its own, also of a number that no keyset reaches. */
  public static KeyEncryptionKey keyEncryptionKey(int version, byte[] kek) {
    return new KeyEncryptionKey(version, KeyWrap.of(kek));
  }
}
