package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The layout of quorum-v1: a secret sealed under a key of its own, and that key wrapped by each
 * root key on its own, with a note where one has not. Immutable; safe for any thread.
 *
 * <p>The head, the list of the root keys and their shares, is associated data of the seal: nobody
 * can change a share, or the record of a missing one, unnoticed.
 */
final class QuorumWrap {
  static final String SCHEME = "quorum";
  static final int MAX_MEMBERS = 8;
  static final int SHARE_KEY_BYTES = 32;

  private static final byte VERSION = 1;
  private static final byte[] LABEL = Hkdf.label("sealwax-quorum/v1");
  private static final int ID_HEX_CHARS = 32;

  /** How a root key stands to a wrapped key; the ordinal never shows. */
  enum Standing {
    /** It has not wrapped, and should have. */
    MISSING((byte) 0),
    /** It can unwrap. */
    HOLDS((byte) 1),
    /** The rule of the keyset does not admit it. */
    EXCLUDED((byte) 2);

    private final byte code;

    Standing(byte code) {
      this.code = code;
    }

    static @Nullable Standing of(byte code) {
      for (Standing standing : values()) {
        if (standing.code == code) {
          return standing;
        }
      }
      return null;
    }
  }

  /**
   * One root key of the quorum.
   *
   * @param share what it wrapped; present if and only if it holds
   */
  record Entry(RootKeyId rootKey, Standing standing, @Nullable WrappedKey share) {
    static Entry holding(WrappedKey share) {
      return new Entry(share.rootKeyId(), Standing.HOLDS, share);
    }

    static Entry without(RootKeyId rootKey, Standing standing) {
      return new Entry(rootKey, standing, null);
    }
  }

  private final RootKeyId id;
  private final List<Entry> entries;
  private final byte[] head;
  private final byte[] sealed;

  private QuorumWrap(RootKeyId id, List<Entry> entries, byte[] head, byte[] sealed) {
    this.id = id;
    this.entries = entries;
    this.head = head;
    this.sealed = sealed;
  }

  /** The id of a quorum of these root keys, in whatever order. */
  static RootKeyId idOf(Collection<RootKeyId> members) {
    String names = members.stream().map(RootKeyId::value).sorted().collect(Collectors.joining(" "));
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(names.getBytes(StandardCharsets.US_ASCII));
      return RootKeyId.of(SCHEME + ":" + HexFormat.of().formatHex(hash).substring(0, ID_HEX_CHARS));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /**
   * Seals {@code secret}.
   *
   * @param shareKey what the shares in {@code entries} hold; seals nothing else, ever
   * @param salt {@value SealedSecret#SALT_LEN} fresh random bytes
   * @throws IllegalArgumentException if there is no {@linkplain #roomForShares room} for the shares
   */
  static WrappedKey seal(
      KeyMaterial shareKey,
      byte[] salt,
      List<Entry> entries,
      EncryptionContext context,
      KeyMaterial secret) {
    byte[] head = head(entries);
    int length = head.length + SealedSecret.OVERHEAD + secret.lengthBytes();
    byte[] sealed =
        shareKey.use(
            key ->
                secret.use(
                    bytes ->
                        SealedSecret.seal(key, LABEL, salt, associatedData(head, context), bytes)));
    return WrappedKey.of(
        idOf(entries.stream().map(Entry::rootKey).toList()),
        ByteBuffer.allocate(length).put(head).put(sealed).array());
  }

  /**
   * How many bytes there are for the shares of these root keys; less than 0 if not even for ids.
   */
  static int roomForShares(List<RootKeyId> members, int secretBytes) {
    int taken = 2 + SealedSecret.OVERHEAD + secretBytes;
    for (RootKeyId member : members) {
      taken += 2 + member.value().length() + 1 + 2;
    }
    return WrappedKey.MAX_BYTES - taken;
  }

  private static byte[] head(List<Entry> entries) {
    int length = 2;
    for (Entry entry : entries) {
      length += 2 + entry.rootKey.value().length() + 1;
      length += entry.share == null ? 0 : 2 + entry.share.ciphertext().length;
    }
    ByteBuffer head = ByteBuffer.allocate(length).put(VERSION).put((byte) entries.size());
    for (Entry entry : entries) {
      byte[] name = entry.rootKey.value().getBytes(StandardCharsets.US_ASCII);
      head.putShort((short) name.length).put(name).put(entry.standing.code);
      if (entry.share != null) {
        byte[] share = entry.share.ciphertext();
        head.putShort((short) share.length).put(share);
      }
    }
    return head.array();
  }

  private static byte[] associatedData(byte[] head, EncryptionContext context) {
    byte[] canonical = context.toCanonicalBytes();
    return ByteBuffer.allocate(head.length + canonical.length).put(head).put(canonical).array();
  }

  static boolean isScheme(RootKeyId id) {
    return id.scheme().equals(SCHEME);
  }

  /** Reads what {@link #seal} made; null if it is anything else. */
  static @Nullable QuorumWrap parse(WrappedKey wrapped) {
    if (!isScheme(wrapped.rootKeyId())) {
      return null;
    }
    byte[] bytes = wrapped.ciphertext();
    ByteBuffer in = ByteBuffer.wrap(bytes);
    if (in.remaining() < 2 || in.get() != VERSION) {
      return null;
    }
    int count = in.get();
    if (count < 1 || count > MAX_MEMBERS) {
      return null;
    }
    List<Entry> entries = new ArrayList<>();
    Set<RootKeyId> seen = new HashSet<>();
    for (int i = 0; i < count; i++) {
      Entry entry = entry(in);
      if (entry == null || isScheme(entry.rootKey) || !seen.add(entry.rootKey)) {
        return null;
      }
      entries.add(entry);
    }
    if (entries.stream().noneMatch(entry -> entry.standing == Standing.HOLDS)
        || in.remaining() <= SealedSecret.OVERHEAD
        || in.remaining() > SealedSecret.OVERHEAD + KeyMaterial.MAX_BYTES
        || !idOf(seen).equals(wrapped.rootKeyId())) {
      return null;
    }
    byte[] head = new byte[in.position()];
    System.arraycopy(bytes, 0, head, 0, head.length);
    byte[] sealed = new byte[in.remaining()];
    in.get(sealed);
    return new QuorumWrap(wrapped.rootKeyId(), List.copyOf(entries), head, sealed);
  }

  /**
   * Reads what {@link #seal} made.
   *
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if it is anything else
   */
  static QuorumWrap require(WrappedKey wrapped) {
    QuorumWrap wrap = parse(wrapped);
    if (wrap == null) {
      throw invalid(wrapped.rootKeyId());
    }
    return wrap;
  }

  private static RootKeyException invalid(RootKeyId id) {
    return new RootKeyException(
        RootKeyException.Reason.INVALID_CIPHERTEXT,
        "wrapped key is not authentic for " + id + " and this context");
  }

  private static @Nullable Entry entry(ByteBuffer in) {
    byte[] name = part(in, RootKeyId.MAX_LENGTH);
    if (name == null || !in.hasRemaining()) {
      return null;
    }
    String value = new String(name, StandardCharsets.ISO_8859_1);
    Standing standing = Standing.of(in.get());
    if (standing == null || !RootKeyId.isValid(value)) {
      return null;
    }
    RootKeyId rootKey = RootKeyId.of(value);
    if (standing != Standing.HOLDS) {
      return Entry.without(rootKey, standing);
    }
    byte[] share = part(in, WrappedKey.MAX_BYTES);
    return share == null ? null : Entry.holding(WrappedKey.of(rootKey, share));
  }

  /** The next bytes behind their length, which is 1 to {@code most}; null if they are not there. */
  private static byte @Nullable [] part(ByteBuffer in, int most) {
    if (in.remaining() < 2) {
      return null;
    }
    int length = Short.toUnsignedInt(in.getShort());
    if (length < 1 || length > most || length > in.remaining()) {
      return null;
    }
    byte[] part = new byte[length];
    in.get(part);
    return part;
  }

  /**
   * Opens the seal.
   *
   * @param shareKey what a root key has unwrapped; taken over
   * @return the secret, which the caller owns
   * @throws RootKeyException with {@code INVALID_CIPHERTEXT} if {@code shareKey} is not the right
   *     one, or a byte was altered, or the context differs
   */
  KeyMaterial secret(KeyMaterial shareKey, EncryptionContext context) {
    try (shareKey) {
      if (shareKey.lengthBytes() != SHARE_KEY_BYTES) {
        throw invalid(id);
      }
      return shareKey
          .use(
              key ->
                  Optional.ofNullable(
                      SealedSecret.open(key, LABEL, associatedData(head, context), sealed)))
          .map(KeyMaterial::owning)
          .orElseThrow(() -> invalid(id));
    }
  }

  /** The shares of those who can unwrap. */
  List<WrappedKey> shares() {
    List<WrappedKey> shares = new ArrayList<>();
    for (Entry entry : entries) {
      if (entry.share != null) {
        shares.add(entry.share);
      }
    }
    return shares;
  }

  List<RootKeyId> withStanding(Standing standing) {
    return entries.stream()
        .filter(entry -> entry.standing == standing)
        .map(Entry::rootKey)
        .toList();
  }
}
