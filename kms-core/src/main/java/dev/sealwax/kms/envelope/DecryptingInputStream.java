package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reads as the plaintext of a chunked body, with memory for a few chunks. Every byte returned is
 * authentic; the end of stream is returned only after the last chunk has proved that nothing is
 * missing. Who closes it before that has abandoned it. For one thread at a time.
 */
final class DecryptingInputStream extends ReadyInputStream {
  private final InputStream source;
  private final ChunkCipher cipher;
  private final StreamEnd end;
  private final byte[] sealed;
  private int sealedLength;
  private long chunks;
  private boolean openedLast;
  private @Nullable RuntimeException failure;
  private boolean closed;

  /**
   * Starts behind the first chunk, whose commitment has been checked.
   *
   * @param firstChunk array of a full sealed chunk's length, holding the first {@code firstLength}
   *     bytes of it
   */
  DecryptingInputStream(
      InputStream source, ChunkCipher cipher, byte[] firstChunk, int firstLength, StreamEnd end) {
    super(new byte[CHUNK_BYTES]);
    this.source = source;
    this.cipher = cipher;
    this.sealed = firstChunk;
    this.sealedLength = firstLength;
    this.end = end;
  }

  @Override
  boolean fill() throws IOException {
    requireReadable();
    while (position == limit) {
      if (openedLast) {
        return false;
      }
      openNext(ready, 0);
    }
    return true;
  }

  @Override
  int readDirectly(byte[] out, int offset, int length) throws IOException {
    requireReadable();
    if (openedLast || length < CHUNK_BYTES) {
      return 0;
    }
    openNext(out, offset);
    return limit;
  }

  private void requireReadable() throws IOException {
    if (closed) {
      throw new IOException("the stream is closed");
    }
    if (failure != null) {
      throw failure;
    }
  }

  /**
   * Opens the next chunk into {@code out}, of which {@link #limit} bytes are plaintext then: ready
   * ones, or handed out already if they went elsewhere.
   */
  private void openNext(byte[] out, int offset) throws IOException {
    try {
      if (chunks > 0) {
        sealedLength = source.readNBytes(sealed, 0, SEALED_CHUNK_BYTES);
      }
      position = 0;
      limit = 0;
      limit = cipher.open(chunks, sealed, 0, sealedLength, out, offset);
      if (out != ready) {
        position = limit;
      }
      if (sealedLength < SEALED_CHUNK_BYTES) {
        openedLast = true;
        end.succeeded(chunks * CHUNK_BYTES + limit);
      }
      chunks++;
    } catch (RuntimeException e) {
      failure = e;
      end.failed(e);
      throw e;
    } catch (IOException | Error e) {
      // Bytes already taken from the source are lost, so a later read could not continue.
      failure =
          e instanceof IOException io
              ? new UncheckedIOException("the source of the stream failed before", io)
              : new IllegalStateException("the stream failed before", e);
      end.failed(e);
      throw e;
    }
  }

  /**
   * As any other stream. A sink that fails before the last chunk is opened is how the decryption
   * ends; after that it has succeeded, whatever becomes of the plaintext.
   */
  @Override
  public long transferTo(OutputStream sink) throws IOException {
    Objects.requireNonNull(sink, "sink");
    try {
      return super.transferTo(sink);
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    closed = true;
    cipher.close();
    Arrays.fill(ready, (byte) 0);
    end.abandoned(handedOut());
    source.close();
  }

  private long handedOut() {
    return chunks == 0 ? 0 : (chunks - 1) * CHUNK_BYTES + position;
  }
}
