package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Objects;

/**
 * Reads as the envelope of another stream, with memory for one chunk. For one thread at a time,
 * except that any thread may close it: HTTP clients cancel uploads so.
 */
final class EncryptingInputStream extends InputStream {
  private final InputStream source;
  private final ChunkCipher cipher;
  private final StreamEnd end;
  private final byte[] plaintext = new byte[CHUNK_BYTES];
  private byte[] ready;
  private int position;
  private int limit;
  private final byte[] sealed = new byte[SEALED_CHUNK_BYTES];
  private long chunks;
  private boolean sealedLast;
  private boolean broken;
  private volatile boolean closed;

  EncryptingInputStream(InputStream source, StreamStart start, StreamEnd end) {
    this.source = source;
    this.cipher = start.cipher();
    this.end = end;
    byte[] prefix = ChunkedBody.prefix(start.salt(), cipher);
    ready = Arrays.copyOf(start.header().encoded(), start.header().lengthBytes() + prefix.length);
    System.arraycopy(prefix, 0, ready, start.header().lengthBytes(), prefix.length);
    limit = ready.length;
  }

  @Override
  public int read() throws IOException {
    return fill() ? ready[position++] & 0xff : -1;
  }

  @Override
  public int read(byte[] out, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, out.length);
    if (length == 0) {
      return 0;
    }
    if (!fill()) {
      return -1;
    }
    int part = Math.min(length, limit - position);
    System.arraycopy(ready, position, out, offset, part);
    position += part;
    return part;
  }

  @Override
  public int available() {
    return limit - position;
  }

  /** Makes at least one byte ready; false at the end. */
  private boolean fill() throws IOException {
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
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    }
    if (closed) {
      // By another thread, during the read.
      throw new IOException("the stream was closed");
    }
    broken = false;
    if (length < CHUNK_BYTES) {
      sealedLast = true;
      end.succeeded(chunks * CHUNK_BYTES + length);
    }
    chunks++;
    return true;
  }

  @Override
  public void close() throws IOException {
    if (!sealedLast) {
      end.abandoned(0);
    }
    closed = true;
    cipher.close();
    Arrays.fill(plaintext, (byte) 0);
    source.close();
  }
}
