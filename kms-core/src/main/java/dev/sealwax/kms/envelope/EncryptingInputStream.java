package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Reads as the envelope of another stream, with memory for one chunk. For one thread at a time,
 * except that any thread may close it: HTTP clients cancel uploads so.
 */
final class EncryptingInputStream extends ReadyInputStream {
  private final InputStream source;
  private final ChunkCipher cipher;
  private final StreamEnd end;
  private final byte[] plaintext = new byte[CHUNK_BYTES];
  private final byte[] sealed = new byte[SEALED_CHUNK_BYTES];
  private long chunks;
  private boolean sealedLast;
  private boolean broken;
  private volatile boolean closed;

  EncryptingInputStream(InputStream source, StreamStart start, StreamEnd end) {
    super(ChunkedBody.opening(start));
    this.source = source;
    this.cipher = start.cipher();
    this.end = end;
    limit = ready.length;
  }

  @Override
  boolean fill() throws IOException {
    if (broken || closed) {
      throw new IOException("the stream failed before or is closed");
    }
    if (position < limit) {
      return true;
    }
    if (sealedLast) {
      return false;
    }
    // Stays set if the source throws: bytes already taken from it are lost, so what follows could
    // not be right.
    broken = true;
    int length;
    try {
      length = source.readNBytes(plaintext, 0, CHUNK_BYTES);
      ready = sealed;
      position = 0;
      limit = cipher.seal(chunks, plaintext, 0, length, sealed, 0);
      if (closed) {
        throw closedMeanwhile();
      }
      broken = false;
    } catch (IllegalStateException e) {
      end.failed(e);
      if (closed) {
        throw closedMeanwhile(); // so says the cipher
      }
      throw e;
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    } finally {
      if (broken) {
        Arrays.fill(plaintext, (byte) 0); // close() may have done so too early
      }
    }
    if (length < CHUNK_BYTES) {
      sealedLast = true;
      end.succeeded(chunks * CHUNK_BYTES + length);
    }
    chunks++;
    return true;
  }

  /** By another thread, during the read. */
  private static IOException closedMeanwhile() {
    return new IOException("the stream was closed");
  }

  @Override
  public void close() throws IOException {
    end.abandoned(0);
    closed = true;
    cipher.close();
    Arrays.fill(plaintext, (byte) 0);
    source.close();
  }
}
