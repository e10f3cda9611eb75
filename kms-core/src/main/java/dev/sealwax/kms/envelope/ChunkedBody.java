package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.PREFIX_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SALT_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.TAG_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.util.Arrays;

/**
 * Layout and arithmetic of a body of the chunked suite: salt, commitment, chunks of which only the
 * last is short.
 */
final class ChunkedBody {
  /** Shortest body: an empty message, in bytes. */
  static final int MIN_BYTES = PREFIX_BYTES + TAG_BYTES;

  /** The longest array that every JVM can allocate. */
  private static final int MAX_ARRAY_BYTES = Integer.MAX_VALUE - 8;

  private ChunkedBody() {}

  /** Length of the body for a plaintext, in bytes. */
  static long lengthFor(long plaintextBytes) {
    if (plaintextBytes < 0 || plaintextBytes / CHUNK_BYTES >= ChunkCipher.MAX_CHUNKS) {
      throw new IllegalArgumentException(
          "plaintext length must be 0 to 4 PiB, got " + plaintextBytes);
    }
    return PREFIX_BYTES + plaintextBytes + (plaintextBytes / CHUNK_BYTES + 1) * TAG_BYTES;
  }

  /**
   * Length of the plaintext in chunks of {@code sealedBytes} altogether.
   *
   * @throws DecryptionFailedException if no message has that length, that is, if its end is missing
   */
  static long plaintextLength(long sealedBytes) {
    long tail = sealedBytes % SEALED_CHUNK_BYTES;
    if (sealedBytes < TAG_BYTES || tail < TAG_BYTES) {
      throw new DecryptionFailedException();
    }
    return sealedBytes / SEALED_CHUNK_BYTES * CHUNK_BYTES + tail - TAG_BYTES;
  }

  /** Salt and commitment as they stand at the start of the body. */
  static byte[] prefix(byte[] salt, ChunkCipher cipher) {
    byte[] prefix = Arrays.copyOf(salt, PREFIX_BYTES);
    cipher.putCommitment(prefix, SALT_BYTES);
    return prefix;
  }

  /** Header and prefix of a message: what stands before its first chunk. */
  static byte[] opening(StreamStart start) {
    EnvelopeHeader header = start.header();
    byte[] prefix = prefix(start.salt(), start.cipher());
    byte[] opening = Arrays.copyOf(header.encoded(), header.lengthBytes() + prefix.length);
    System.arraycopy(prefix, 0, opening, header.lengthBytes(), prefix.length);
    return opening;
  }

  static byte[] seal(EnvelopeHeader header, byte[] salt, ChunkCipher cipher, byte[] plaintext) {
    long length = header.lengthBytes() + lengthFor(plaintext.length);
    if (length > MAX_ARRAY_BYTES) {
      throw new IllegalArgumentException(
          "plaintext of "
              + plaintext.length
              + " bytes makes an envelope longer than an array; use a stream");
    }
    byte[] out = new byte[(int) length];
    header.writeTo(out);
    int position = header.lengthBytes();
    System.arraycopy(salt, 0, out, position, SALT_BYTES);
    cipher.putCommitment(out, position + SALT_BYTES);
    position += PREFIX_BYTES;
    int done = 0;
    for (long index = 0; ; index++) {
      int chunk = Math.min(CHUNK_BYTES, plaintext.length - done);
      position += cipher.seal(index, plaintext, done, chunk, out, position);
      done += chunk;
      if (chunk < CHUNK_BYTES) {
        return out;
      }
    }
  }

  /**
   * Opens the chunks from {@code position} to the end of {@code in}; the commitment has been
   * checked before.
   */
  static byte[] open(ChunkCipher cipher, byte[] in, int position) {
    byte[] plaintext = new byte[(int) plaintextLength(in.length - position)];
    int done = 0;
    for (long index = 0; position < in.length; index++) {
      int sealed = Math.min(SEALED_CHUNK_BYTES, in.length - position);
      done += cipher.open(index, in, position, sealed, plaintext, done);
      position += sealed;
    }
    return plaintext;
  }

  /** Commitment of the body in {@code prefix}. */
  static void requireCommitment(ChunkCipher cipher, byte[] in, int bodyPosition) {
    cipher.requireCommitment(in, bodyPosition + SALT_BYTES);
  }

  static byte[] salt(byte[] in, int bodyPosition) {
    return Arrays.copyOfRange(in, bodyPosition, bodyPosition + SALT_BYTES);
  }
}
