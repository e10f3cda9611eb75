package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.sealwax.kms.rootkey.QuorumWrap.Standing;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;

/**
 * No wrapped key of a quorum makes its reader fail in any other way than it says; it takes what
 * quorum-v1 describes and nothing else, and reads from it what a second reader does.
 */
final class QuorumWrapFuzz {
  /** That of the worked example in quorum-v1, so that one of the seeds opens. */
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");

  private static final RootKeyId NOBODYS = RootKeyId.of("quorum:00");

  /** What the second reader found, up to where it could read. */
  private static final class Members {
    private final List<RootKeyId> all = new ArrayList<>();
    private final List<WrappedKey> shares = new ArrayList<>();
    private final List<RootKeyId> holding = new ArrayList<>();
    private final List<RootKeyId> missing = new ArrayList<>();
    private final List<RootKeyId> excluded = new ArrayList<>();
    private boolean allowed;
  }

  @FuzzTest
  void parse(byte[] bytes) {
    if (bytes.length < 1 || bytes.length > WrappedKey.MAX_BYTES) {
      return;
    }
    Members members = members(bytes);
    // The right id whatever else is wrong, so that it is not the id for which that is refused.
    RootKeyId id = QuorumWrap.idOf(new HashSet<>(members.all));
    WrappedKey wrapped = WrappedKey.of(id, bytes);
    QuorumWrap wrap = QuorumWrap.parse(wrapped);
    if (!members.allowed) {
      assertNull(wrap);
      assertEquals(List.of(id), wrapped.holders());
      assertEquals(List.of(), wrapped.missingHolders());
      return;
    }
    assertNotNull(wrap);
    assertEquals(members.shares, wrap.shares());
    assertEquals(members.holding, wrap.withStanding(Standing.HOLDS));
    assertEquals(members.missing, wrap.withStanding(Standing.MISSING));
    assertEquals(members.excluded, wrap.withStanding(Standing.EXCLUDED));
    assertNull(QuorumWrap.parse(WrappedKey.of(NOBODYS, bytes)), "taken under another id");
    try (KeyMaterial secret = wrap.secret(KeyMaterial.owning(shareKey()), CONTEXT)) {
      assertEquals("three little words", secret.use(QuorumWrapFuzz::text));
    } catch (RootKeyException e) {
      assertEquals(RootKeyException.Reason.INVALID_CIPHERTEXT, e.reason());
    }
  }

  /** Reads as quorum-v1 §2 says, and on past what it does not allow. */
  private static Members members(byte[] bytes) {
    Members members = new Members();
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
      boolean allowed = in.readUnsignedByte() == 1;
      int count = in.readUnsignedByte();
      for (int i = 0; i < count; i++) {
        String name =
            new String(in.readNBytes(in.readUnsignedShort()), StandardCharsets.ISO_8859_1);
        // Printable ASCII, scheme:locator.
        if (!name.matches("[!-9;-~]+:[!-~]+") || name.length() > 512) {
          return members;
        }
        RootKeyId rootKey = RootKeyId.of(name);
        members.all.add(rootKey);
        switch (in.readUnsignedByte()) {
          case 0 -> members.missing.add(rootKey);
          case 1 -> {
            members.holding.add(rootKey);
            int length = in.readUnsignedShort();
            if (length < 1 || length > in.available()) {
              return members;
            }
            members.shares.add(WrappedKey.of(rootKey, in.readNBytes(length)));
          }
          case 2 -> members.excluded.add(rootKey);
          default -> allowed = false;
        }
      }
      int sealed = in.available();
      members.allowed =
          allowed
              && count >= 1
              && count <= 8
              && !members.holding.isEmpty()
              && new HashSet<>(members.all).size() == count
              && members.all.stream().noneMatch(each -> each.value().startsWith("quorum:"))
              && sealed > SealedSecret.OVERHEAD
              && sealed <= SealedSecret.OVERHEAD + KeyMaterial.MAX_BYTES;
      return members;
    } catch (IOException e) {
      return members;
    }
  }

  private static byte[] shareKey() {
    byte[] key = new byte[QuorumWrap.SHARE_KEY_BYTES];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) (0x40 + i);
    }
    return key;
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.US_ASCII);
  }
}
