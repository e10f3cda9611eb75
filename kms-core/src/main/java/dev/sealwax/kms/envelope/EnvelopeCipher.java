package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.JitWarmUp;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KeysetStoreException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.util.Objects;

/**
 * Encrypts and decrypts under one keyset: what applications use.
 *
 * <p>Everything encrypted is bound to an {@link EncryptionContext}, which must be stated again to
 * decrypt. Cheap to get from {@code Kms.envelopeCipher} and safe for any number of threads, virtual
 * ones included. Arrays passed in are neither changed nor kept.
 *
 * <p>Unless a method says otherwise it throws, beside what it lists: {@link KeysetStoreException}
 * and {@link RootKeyException} if a key that is not in memory cannot be fetched (see their
 * reasons), {@link dev.sealwax.kms.vocabulary.KeysetCorruptedException} if the stored keyset was
 * damaged or edited, {@link NullPointerException} for null arguments, and {@link
 * IllegalStateException} once the {@code Kms} is closed.
 */
public final class EnvelopeCipher {
  private final SealingPath sealing;
  private final OpeningPath opening;
  private final RewrapPath rewrapping;
  private final ReencryptPath reencryption;

  EnvelopeCipher(
      SealingPath sealing, OpeningPath opening, RewrapPath rewrapping, ReencryptPath reencryption) {
    this.sealing = sealing;
    this.opening = opening;
    this.rewrapping = rewrapping;
    this.reencryption = reencryption;
  }

  /** The keyset that this cipher works with. */
  public KeysetId keyset() {
    return sealing.keyset();
  }

  // --- messages ---

  /**
   * Encrypts a message under the primary key version.
   *
   * @return the envelope: {@code 110 + length of the keyset's name} bytes longer than the plaintext
   *     up to 32 KiB, and about 0.1 % longer above
   * @throws KeyUnavailableException if the primary may not encrypt, for instance because it was
   *     disabled; rotate or promote
   */
  public byte[] encrypt(byte[] plaintext, EncryptionContext context) {
    Objects.requireNonNull(plaintext, "plaintext");
    Objects.requireNonNull(context, "context");
    return sealing.seal(plaintext, context);
  }

  /**
   * Decrypts an envelope of either suite.
   *
   * @throws MalformedEnvelopeException if the bytes are no envelope; check what was passed
   * @throws DecryptionFailedException if key, context and bytes do not fit together; do not retry
   * @throws KeyUnavailableException if the key version is unknown, of another keyset, or in a state
   *     that forbids it
   */
  public byte[] decrypt(byte[] envelope, EncryptionContext context) {
    Objects.requireNonNull(envelope, "envelope");
    Objects.requireNonNull(context, "context");
    return opening.open(envelope, context);
  }

  /**
   * Moves an envelope to the primary key version by replacing the wrapped data key in its header;
   * the payload bytes are copied, not read, and the context is not needed. An envelope that is
   * there already is returned unchanged.
   *
   * <p>What this protects from and what not: the data key stays the same, so whoever already
   * learned it keeps it. Use {@link #reencrypt} where a key version was compromised.
   *
   * @throws MalformedEnvelopeException if the bytes are no envelope, or have no body
   * @throws DecryptionFailedException if the wrapped data key is not authentic
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public byte[] rewrap(byte[] envelope) {
    return rewrapping.rewrap(Objects.requireNonNull(envelope, "envelope"));
  }

  /**
   * Moves a header to the primary key version, as {@link #rewrap} does; whatever follows the header
   * is ignored.
   *
   * @return the new header alone, as long as the old one
   * @throws MalformedEnvelopeException if the bytes are no header
   * @throws DecryptionFailedException if the wrapped data key is not authentic
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public byte[] rewrapHeader(byte[] header) {
    return rewrapping.rewrapHeader(Objects.requireNonNull(header, "header"));
  }

  /**
   * Moves the envelope in {@code channel}, from its position 0 on, to the primary key version, in
   * place: writes the new header over the old one, reads nothing behind it, and leaves the position
   * where it was.
   *
   * <p>The write is one call of 83 to 146 bytes, which no file system promises to be atomic across
   * a power failure: keep the old header, or a copy of the object, until the write is durable.
   *
   * @throws IOException if the channel fails
   * @throws java.nio.channels.NonWritableChannelException if it cannot be written to
   * @throws MalformedEnvelopeException if there is no envelope, or one without a body
   * @throws DecryptionFailedException if the wrapped data key is not authentic
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public void rewrap(SeekableByteChannel channel) throws IOException {
    rewrapping.rewrapInPlace(Objects.requireNonNull(channel, "channel"));
  }

  /**
   * Decrypts an envelope and encrypts the message anew under a fresh data key of the primary key
   * version. The only operation that still opens data of a {@code COMPROMISED} version.
   *
   * @throws MalformedEnvelopeException if the bytes are no envelope
   * @throws DecryptionFailedException if key, context and bytes do not fit together
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public byte[] reencrypt(byte[] envelope, EncryptionContext context) {
    Objects.requireNonNull(envelope, "envelope");
    Objects.requireNonNull(context, "context");
    return reencryption.reencrypt(envelope, context);
  }

  /**
   * Re-encrypts all of {@code source}, an envelope of either suite, to {@code sink}, as {@link
   * #reencrypt(byte[], EncryptionContext)} does but in constant memory. The new envelope has the
   * suite and the length of the old one.
   *
   * <p>That the old one is complete is known at its end: on an exception throw away what was
   * written, which will not decrypt, because its end is missing. Neither is closed.
   *
   * @return bytes of plaintext
   * @throws IOException if source or sink fails
   * @throws MalformedEnvelopeException if the source holds no envelope
   * @throws DecryptionFailedException if tampered with, truncated, reordered, or of another context
   * @throws KeyUnavailableException if either key version may not be used for it
   */
  public long reencrypt(InputStream source, OutputStream sink, EncryptionContext context)
      throws IOException {
    Objects.requireNonNull(source, "source");
    Objects.requireNonNull(sink, "sink");
    Objects.requireNonNull(context, "context");
    return reencryption.reencrypt(source, sink, context);
  }

  // --- text and split forms ---

  /**
   * Encrypts a message to text: {@code swx1.} and base64url, for JSON members and SQL text columns.
   *
   * @throws KeyUnavailableException as {@link #encrypt} does
   */
  public String encryptToText(byte[] plaintext, EncryptionContext context) {
    Objects.requireNonNull(plaintext, "plaintext");
    return sealing.sealText(plaintext, Objects.requireNonNull(context, "context"));
  }

  /**
   * Decrypts an envelope in text form.
   *
   * @throws MalformedEnvelopeException if the text is no envelope
   * @throws DecryptionFailedException as {@link #decrypt} does
   * @throws KeyUnavailableException as {@link #decrypt} does
   */
  public byte[] decryptText(String text, EncryptionContext context) {
    Objects.requireNonNull(context, "context");
    return opening.openText(Objects.requireNonNull(text, "text"), context);
  }

  /**
   * Moves an envelope in text form to the primary key version, as {@link #rewrap} does.
   *
   * @throws MalformedEnvelopeException if the text is no envelope
   * @throws DecryptionFailedException as {@link #rewrap} does
   * @throws KeyUnavailableException as {@link #rewrap} does
   */
  public String rewrapText(String text) {
    return rewrapping.rewrapText(Objects.requireNonNull(text, "text"));
  }

  /**
   * Encrypts a message to an envelope in two parts.
   *
   * @throws KeyUnavailableException as {@link #encrypt} does
   */
  public SplitEnvelope encryptSplit(byte[] plaintext, EncryptionContext context) {
    Objects.requireNonNull(plaintext, "plaintext");
    return sealing.sealSplit(plaintext, Objects.requireNonNull(context, "context"));
  }

  /**
   * Decrypts an envelope in two parts.
   *
   * @throws MalformedEnvelopeException if the header is none, or has bytes behind it
   * @throws DecryptionFailedException as {@link #decrypt} does
   * @throws KeyUnavailableException as {@link #decrypt} does
   */
  public byte[] decryptSplit(SplitEnvelope envelope, EncryptionContext context) {
    Objects.requireNonNull(context, "context");
    return opening.openSplit(Objects.requireNonNull(envelope, "envelope"), context);
  }

  // --- streams ---

  /**
   * Encrypts all of {@code source} to {@code sink}, in constant memory. If either fails, what was
   * written so far will not decrypt: the end is missing. Neither is closed.
   *
   * @return bytes of plaintext
   * @throws IOException if source or sink fails
   * @throws KeyUnavailableException as {@link #encrypt} does
   */
  public long encrypt(InputStream source, OutputStream sink, EncryptionContext context)
      throws IOException {
    Objects.requireNonNull(source, "source");
    try (EnvelopeOutputStream out =
        encryptingStream(new UnclosedOutputStream(Objects.requireNonNull(sink, "sink")), context)) {
      return out.transferAndFinish(source);
    }
  }

  /**
   * Decrypts all of {@code source} to {@code sink}, in constant memory. Only authenticated bytes
   * are written, but that the message is complete is known at its end: on an exception throw away
   * what was written. Neither is closed.
   *
   * @return bytes of plaintext
   * @throws IOException if source or sink fails
   * @throws MalformedEnvelopeException as {@link #decrypt(byte[], EncryptionContext)} does
   * @throws DecryptionFailedException if tampered with, truncated, reordered, or of another context
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public long decrypt(InputStream source, OutputStream sink, EncryptionContext context)
      throws IOException {
    Objects.requireNonNull(sink, "sink");
    try (InputStream in =
        decryptingStream(
            new UnclosedInputStream(Objects.requireNonNull(source, "source")), context)) {
      return in.transferTo(sink);
    }
  }

  /**
   * A stream that encrypts what is written to it, with constant memory. Its {@code close} ends the
   * message and closes {@code sink}; see {@link EnvelopeOutputStream} for what to do when the
   * source of the data fails half-way.
   *
   * @throws KeyUnavailableException as {@link #encrypt(byte[], EncryptionContext)} does
   */
  public EnvelopeOutputStream encryptingStream(OutputStream sink, EncryptionContext context) {
    Objects.requireNonNull(sink, "sink");
    return sealing.stream(sink, Objects.requireNonNull(context, "context"), HeaderPlace.IN_STREAM);
  }

  /**
   * As {@link #encryptingStream(OutputStream, EncryptionContext)}, but only the body is written;
   * keep {@link EnvelopeOutputStream#header()} elsewhere, for instance as object metadata.
   *
   * @throws KeyUnavailableException as {@link #encrypt(byte[], EncryptionContext)} does
   */
  public EnvelopeOutputStream encryptingBodyStream(OutputStream sink, EncryptionContext context) {
    Objects.requireNonNull(sink, "sink");
    return sealing.stream(sink, Objects.requireNonNull(context, "context"), HeaderPlace.DETACHED);
  }

  /**
   * A stream from which the envelope of {@code plaintext} can be read, for clients that pull what
   * they upload. Its length is {@link #chunkedEnvelopeLength}. Closing it closes {@code plaintext}.
   *
   * @throws KeyUnavailableException as {@link #encrypt(byte[], EncryptionContext)} does
   */
  public InputStream encryptingStream(InputStream plaintext, EncryptionContext context) {
    Objects.requireNonNull(plaintext, "plaintext");
    return sealing.pullingStream(plaintext, Objects.requireNonNull(context, "context"));
  }

  /**
   * Length of the envelope that the streams of this cipher make of {@code plaintextBytes}, in
   * bytes.
   *
   * @throws IllegalArgumentException if it is negative, or longer than a stream can be (4 PiB)
   */
  public long chunkedEnvelopeLength(long plaintextBytes) {
    return sealing.chunkedEnvelopeLength(plaintextBytes);
  }

  /**
   * A stream that decrypts {@code envelope}, with constant memory. It returns only authenticated
   * bytes; that the message is complete is known when it returns end of stream. Reads may throw
   * {@link DecryptionFailedException}. Reads of 16 KiB or more are the fastest: they decrypt
   * straight into your array, where nothing is to be relied on until they return. Once open it
   * reads on, even if the key version is disabled meanwhile. For one thread at a time, which also
   * closes it. Closing it closes {@code envelope}.
   *
   * @throws IOException if the source fails while the header is read
   * @throws MalformedEnvelopeException as {@link #decrypt(byte[], EncryptionContext)} does
   * @throws DecryptionFailedException if the data key or the context does not fit
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public InputStream decryptingStream(InputStream envelope, EncryptionContext context)
      throws IOException {
    Objects.requireNonNull(envelope, "envelope");
    return opening.stream(envelope, Objects.requireNonNull(context, "context"));
  }

  /**
   * As {@link #decryptingStream(InputStream, EncryptionContext)} for a body whose header was kept
   * elsewhere.
   *
   * @throws IOException if the source fails while the start of the body is read
   * @throws MalformedEnvelopeException as {@link #decryptSplit} does
   * @throws DecryptionFailedException if the data key or the context does not fit
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public InputStream decryptingStream(byte[] header, InputStream body, EncryptionContext context)
      throws IOException {
    Objects.requireNonNull(header, "header");
    Objects.requireNonNull(body, "body");
    return opening.stream(header, body, Objects.requireNonNull(context, "context"));
  }

  /**
   * A channel that decrypts {@code envelope} in one pass, a chunk at most with each read; otherwise
   * as {@link #decryptingStream(InputStream, EncryptionContext)}. A buffer of 16 KiB or more that
   * has an array is the fastest.
   *
   * @throws IOException if the source fails while the header is read
   * @throws MalformedEnvelopeException as {@link #decrypt(byte[], EncryptionContext)} does
   * @throws DecryptionFailedException if the data key or the context does not fit
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public ReadableByteChannel decryptingChannel(
      ReadableByteChannel envelope, EncryptionContext context) throws IOException {
    Objects.requireNonNull(envelope, "envelope");
    return new OnePassChannel(decryptingStream(Channels.newInputStream(envelope), context));
  }

  /**
   * A read-only channel with random access to the plaintext of {@code envelope}, which starts at
   * position 0. Opening it authenticates the last chunk and with it the length; a read decrypts the
   * chunks it touches, whole ones straight into the array of a buffer that has one, where nothing
   * is to be relied on until it returns. Once open it reads on, even if the key version is disabled
   * meanwhile. For one thread at a time, which also closes it. Closing it closes {@code envelope}.
   *
   * @throws IOException if the channel fails
   * @throws MalformedEnvelopeException as {@link #decrypt(byte[], EncryptionContext)} does
   * @throws DecryptionFailedException if the data key, the context or the length does not fit
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public SeekableByteChannel decryptingChannel(
      SeekableByteChannel envelope, EncryptionContext context) throws IOException {
    Objects.requireNonNull(envelope, "envelope");
    return opening.channel(envelope, Objects.requireNonNull(context, "context"));
  }

  /**
   * As {@link #decryptingChannel(SeekableByteChannel, EncryptionContext)} for a body whose header
   * was kept elsewhere.
   *
   * @throws IOException if the channel fails
   * @throws MalformedEnvelopeException as {@link #decryptSplit} does
   * @throws DecryptionFailedException if the data key, the context or the length does not fit
   * @throws KeyUnavailableException as {@link #decrypt(byte[], EncryptionContext)} does
   */
  public SeekableByteChannel decryptingChannel(
      byte[] header, SeekableByteChannel body, EncryptionContext context) throws IOException {
    Objects.requireNonNull(header, "header");
    Objects.requireNonNull(body, "body");
    return opening.channel(header, body, Objects.requireNonNull(context, "context"));
  }

  /**
   * Does now what the first messages would have to wait for: reads the keyset, asks the root key,
   * makes data keys of both suites, runs each once in both directions, and, once per JVM, gives the
   * JIT compiler enough AES-GCM to compile it. Takes a few tenths of a second the first time. The
   * four operations are real ones: they count in the statistics, and the listener is told.
   *
   * @throws KeyUnavailableException as {@link #encrypt(byte[], EncryptionContext)} does
   */
  public void warmUp() {
    EncryptionContext context = EncryptionContext.empty();
    for (int length : new int[] {0, SealingPath.ONE_SHOT_MAX_BYTES + 1}) {
      decrypt(encrypt(new byte[length], context), context);
    }
    JitWarmUp.now();
  }

  @Override
  public String toString() {
    return "EnvelopeCipher[" + keyset() + "]";
  }
}
