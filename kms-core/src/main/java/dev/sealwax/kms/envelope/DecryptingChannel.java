package dev.sealwax.kms.envelope;

import static dev.sealwax.kms.crypto.ChunkCipher.CHUNK_BYTES;
import static dev.sealwax.kms.crypto.ChunkCipher.SEALED_CHUNK_BYTES;

import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonWritableChannelException;
import java.nio.channels.SeekableByteChannel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Random access to the plaintext of an envelope; keeps one decrypted chunk. For one thread at a
 * time.
 */
final class DecryptingChannel implements SeekableByteChannel {
  private static final long NONE = -1;

  private final SeekableByteChannel source;
  private final long chunksPosition;
  private final long sealedBytes;
  private final long size;
  private final @Nullable ChunkCipher cipher;
  private final @Nullable StreamEnd end;
  private final byte[] chunk;
  private final byte[] sealed;
  private long chunkIndex;
  private int chunkLength;
  private long position;
  private long bytesRead;
  private boolean open = true;

  private DecryptingChannel(
      SeekableByteChannel source,
      long chunksPosition,
      long sealedBytes,
      long size,
      @Nullable ChunkCipher cipher,
      @Nullable StreamEnd end,
      byte[] chunk) {
    this.source = source;
    this.chunksPosition = chunksPosition;
    this.sealedBytes = sealedBytes;
    this.size = size;
    this.cipher = cipher;
    this.end = end;
    this.chunk = chunk;
    this.sealed = new byte[cipher == null ? 0 : SEALED_CHUNK_BYTES];
  }

  /** A message that has been opened, counted and reported already. */
  static DecryptingChannel ofWhole(SeekableByteChannel source, byte[] plaintext) {
    DecryptingChannel channel =
        new DecryptingChannel(source, 0, 0, plaintext.length, null, null, plaintext);
    channel.chunkLength = plaintext.length;
    return channel;
  }

  /**
   * Chunks that are opened as they are read. The last one is opened here: it alone proves how long
   * the message is.
   *
   * @param cipher owned by the channel from now on
   * @param end told of the first failure of a read, else of the bytes read when the channel is
   *     closed; a failure of this call is the caller's to report
   */
  static DecryptingChannel ofChunks(
      SeekableByteChannel source,
      long chunksPosition,
      long sealedBytes,
      ChunkCipher cipher,
      StreamEnd end)
      throws IOException {
    try {
      long size = ChunkedBody.plaintextLength(sealedBytes);
      DecryptingChannel channel =
          new DecryptingChannel(
              source, chunksPosition, sealedBytes, size, cipher, end, new byte[CHUNK_BYTES]);
      channel.chunkIndex = NONE;
      channel.keepChunk(cipher, size / CHUNK_BYTES);
      return channel;
    } catch (IOException | RuntimeException | Error e) {
      cipher.close();
      throw e;
    }
  }

  /** Makes {@link #chunk} hold chunk {@code index}. */
  private void keepChunk(ChunkCipher opener, long index) throws IOException {
    if (index != chunkIndex) {
      chunkIndex = NONE;
      chunkLength = openChunk(opener, index, chunk, 0);
      chunkIndex = index;
    }
  }

  private int openChunk(ChunkCipher opener, long index, byte[] out, int offset) throws IOException {
    long start = index * SEALED_CHUNK_BYTES;
    int length = (int) Math.min(SEALED_CHUNK_BYTES, sealedBytes - start);
    ByteBuffer in = ByteBuffer.wrap(sealed, 0, length);
    source.position(chunksPosition + start);
    while (in.hasRemaining()) {
      if (source.read(in) < 0) {
        throw new DecryptionFailedException(); // the file was cut after it was opened
      }
    }
    return opener.open(index, sealed, 0, length, out, offset);
  }

  @Override
  public int read(ByteBuffer out) throws IOException {
    requireOpen();
    if (position >= size) {
      return -1;
    }
    int done = 0;
    while (out.hasRemaining() && position < size) {
      int part = cipher == null ? copy(out, (int) position) : readChunk(cipher, out);
      position += part;
      bytesRead += part;
      done += part;
    }
    return done;
  }

  private int readChunk(ChunkCipher opener, ByteBuffer out) throws IOException {
    long index = position / CHUNK_BYTES;
    int offset = (int) (position % CHUNK_BYTES);
    try {
      if (offset == 0
          && index != chunkIndex
          && out.hasArray()
          && out.remaining() >= Math.min(CHUNK_BYTES, size - position)) {
        // Straight to where it is wanted, which saves copying it.
        int part = openChunk(opener, index, out.array(), out.arrayOffset() + out.position());
        out.position(out.position() + part);
        return part;
      }
      keepChunk(opener, index);
    } catch (IOException | RuntimeException | Error e) {
      if (end != null) {
        end.failed(e);
      }
      throw e;
    }
    return copy(out, offset);
  }

  private int copy(ByteBuffer out, int offset) {
    int part = Math.min(out.remaining(), chunkLength - offset);
    out.put(chunk, offset, part);
    return part;
  }

  @Override
  public long position() throws IOException {
    requireOpen();
    return position;
  }

  @Override
  public SeekableByteChannel position(long newPosition) throws IOException {
    requireOpen();
    if (newPosition < 0) {
      throw new IllegalArgumentException("position must not be negative, got " + newPosition);
    }
    position = newPosition;
    return this;
  }

  /** Length of the plaintext, in bytes; authenticated. */
  @Override
  public long size() throws IOException {
    requireOpen();
    return size;
  }

  @Override
  public int write(ByteBuffer in) {
    throw new NonWritableChannelException();
  }

  @Override
  public SeekableByteChannel truncate(long newSize) {
    throw new NonWritableChannelException();
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  private void requireOpen() throws ClosedChannelException {
    if (!open) {
      throw new ClosedChannelException();
    }
  }

  @Override
  public void close() throws IOException {
    if (open) {
      open = false;
      if (cipher != null) {
        cipher.close();
      }
      if (end != null) {
        end.succeeded(bytesRead);
      }
      Arrays.fill(chunk, (byte) 0);
      source.close();
    }
  }
}
