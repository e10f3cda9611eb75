package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Encrypts what is written to it into one envelope of the chunked suite, with memory for one chunk.
 *
 * <p>{@link #close} ends the message: from then on it decrypts. If the data cannot be written to
 * its end, call {@link #abort} first; what stands in the sink will then be refused as truncated.
 * {@link EnvelopeCipher#encrypt(InputStream, OutputStream,
 * dev.sealwax.kms.vocabulary.EncryptionContext)} does that by itself. For one thread at a time.
 */
public final class EnvelopeOutputStream extends OutputStream {
  private final OutputStream sink;
  private final EnvelopeHeader header;
  private final ChunkCipher cipher;
  private final StreamEnd end;
  private final byte[] plaintext = new byte[CHUNK_BYTES];
  private final byte[] sealed = new byte[SEALED_CHUNK_BYTES];
  private byte @Nullable [] opening;
  private int buffered;
  private long chunks;
  private boolean open = true;
  private boolean broken;

  EnvelopeOutputStream(
      OutputStream sink, StreamStart start, HeaderPlace headerPlace, StreamEnd end) {
    this.sink = sink;
    this.header = start.header();
    this.cipher = start.cipher();
    this.end = end;
    this.opening =
        headerPlace == HeaderPlace.DETACHED
            ? ChunkedBody.prefix(start.salt(), cipher)
            : ChunkedBody.opening(start);
  }

  /** A copy of the envelope's header; to be kept by whoever asked for a detached one. */
  public byte[] header() {
    return header.toBytes();
  }

  @Override
  public void write(int b) throws IOException {
    requireOpen();
    plaintext[buffered++] = (byte) b;
    if (buffered == CHUNK_BYTES) {
      writeChunk(plaintext, 0, CHUNK_BYTES);
      buffered = 0;
    }
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    Objects.checkFromIndexSize(offset, length, Objects.requireNonNull(bytes, "bytes").length);
    requireOpen();
    int position = offset;
    int left = length;
    while (left > 0) {
      if (buffered == 0 && left >= CHUNK_BYTES) {
        writeChunk(bytes, position, CHUNK_BYTES);
        position += CHUNK_BYTES;
        left -= CHUNK_BYTES;
        continue;
      }
      int part = Math.min(left, CHUNK_BYTES - buffered);
      System.arraycopy(bytes, position, plaintext, buffered, part);
      buffered += part;
      position += part;
      left -= part;
      if (buffered == CHUNK_BYTES) {
        writeChunk(plaintext, 0, CHUNK_BYTES);
        buffered = 0;
      }
    }
  }

  /**
   * Flushes the sink; an incomplete chunk stays here, because the end of a chunk is the end of a
   * message.
   */
  @Override
  public void flush() throws IOException {
    if (open) {
      sink.flush();
    }
  }

  /**
   * Gives the message up: the sink is closed without its end. Does nothing after {@link #close}.
   */
  public void abort() throws IOException {
    if (open) {
      broken = true;
      end.abandoned(0);
      close();
    }
  }

  /**
   * Ends the message, unless writing failed before, and closes the sink; further calls do nothing.
   */
  @Override
  public void close() throws IOException {
    if (!open) {
      return;
    }
    try {
      try (sink) {
        if (!broken) {
          writeChunk(plaintext, 0, buffered);
        }
      }
      if (!broken) {
        // Not before: many a sink fails when it is closed.
        end.succeeded((chunks - 1) * CHUNK_BYTES + buffered);
      }
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    } finally {
      open = false;
      if (broken) {
        end.failed(new IllegalStateException("stream was not written to its end"));
      }
      cipher.close();
      Arrays.fill(plaintext, (byte) 0);
    }
  }

  long transferAndFinish(InputStream source) throws IOException {
    boolean sourceEnded = false;
    try {
      for (int read;
          (read = source.readNBytes(plaintext, buffered, CHUNK_BYTES - buffered)) > 0; ) {
        buffered += read;
        if (buffered == CHUNK_BYTES) {
          writeChunk(plaintext, 0, CHUNK_BYTES);
          buffered = 0;
        }
      }
      sourceEnded = true;
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    } finally {
      // Whatever was thrown, an Error or a checked exception in disguise: the message has no end.
      broken |= !sourceEnded;
    }
    long bytes = chunks * CHUNK_BYTES + buffered;
    close();
    return bytes;
  }

  private void writeChunk(byte[] in, int offset, int length) throws IOException {
    // Stays set if anything below throws: after half a chunk nothing more can be right.
    broken = true;
    try {
      byte[] start = opening;
      if (start != null) {
        sink.write(start);
        opening = null;
      }
      int sealedLength = cipher.seal(chunks, in, offset, length, sealed, 0);
      sink.write(sealed, 0, sealedLength);
    } catch (IOException | RuntimeException | Error e) {
      end.failed(e);
      throw e;
    }
    chunks++;
    broken = false;
  }

  private void requireOpen() throws IOException {
    if (!open || broken) {
      throw new IOException(open ? "the stream failed before" : "the stream is closed");
    }
  }
}
