package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.InputStream;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The library as the test vectors see it: one cipher of one keyset whose KEKs are given. What it
 * unwraps stays cached until it is closed, so that a second call takes the cached path.
 */
interface VectorOpener extends AutoCloseable {
  /**
   * A key version of the keyset.
   *
   * @param state a state of keyset-v1, for instance {@code ENABLED}
   * @param kek 32 bytes; null if destroyed
   * @param expiresAt null if it never expires
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Key(int version, String state, byte @Nullable [] kek, @Nullable Instant expiresAt) {
    Key(int version, String state, byte @Nullable [] kek) {
      this(version, state, kek, null);
    }
  }

  /** Opens a whole envelope in memory. */
  byte[] open(EncryptionContext context, byte[] envelope);

  /** Opens the text form. */
  byte[] openText(EncryptionContext context, String text);

  /** Opens an envelope whose header was stored apart. */
  byte[] openSplit(EncryptionContext context, byte[] header, byte[] body);

  /** Opens a stream; may fail here or in any read. */
  InputStream openStream(EncryptionContext context, InputStream envelope);

  /** The length of the plaintext, by random access. */
  long sizeOf(EncryptionContext context, byte[] envelope);

  /** A part of the plaintext, by random access. */
  byte[] openRange(EncryptionContext context, byte[] envelope, long position, int lengthBytes);

  /** Seals a whole message in memory, under the enabled version with the highest number. */
  byte[] seal(EncryptionContext context, byte[] plaintext);

  /** Seals as a stream, under the enabled version with the highest number. */
  byte[] sealStream(EncryptionContext context, byte[] plaintext);

  /** Rewraps to the enabled version with the highest number. */
  byte[] rewrap(byte[] envelope);

  /** The largest number of messages per data key that the library can be configured to allow. */
  long mostMessagesPerDataKey();

  @Override
  void close();
}
