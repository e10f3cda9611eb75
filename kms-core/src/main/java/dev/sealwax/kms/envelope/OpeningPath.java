package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.util.Arrays;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The way from an envelope back to a plaintext, in the order of envelope-v1 §13: parse, keyset, key
 * version and its state, data key and commitment, body. Safe for concurrent use.
 */
final class OpeningPath {
  private final OpenKeyset keyset;
  private final DataKeys dataKeys;
  private final Traffic traffic;
  private final Announcer announcer;
  private final int wrappingPosition;
  private final KeysAtHand keysAtHand;

  OpeningPath(
      OpenKeyset keyset,
      DataKeys dataKeys,
      KeysAtHand keysAtHand,
      Traffic traffic,
      Announcer announcer) {
    this.keyset = keyset;
    this.dataKeys = dataKeys;
    this.traffic = traffic;
    this.announcer = announcer;
    this.wrappingPosition = EnvelopeHeader.wrappingPosition(keyset.id());
    this.keysAtHand = keysAtHand;
  }

  // --- whole arrays ---

  byte[] open(byte[] envelope, EncryptionContext context) {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      byte[] plaintext = openArray(envelope, context, observation);
      Observation.succeeded(observation, plaintext.length);
      return plaintext;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  byte[] openText(String text, EncryptionContext context) {
    return open(() -> TextForm.decode(text), context);
  }

  byte[] openSplit(SplitEnvelope envelope, EncryptionContext context) {
    return open(
        () -> {
          EnvelopeHeader.parseAlone(envelope.header());
          return envelope.join();
        },
        context);
  }

  /** Opens what {@code form} makes of another form, which takes part of the time. */
  private byte[] open(Supplier<byte[]> form, EncryptionContext context) {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      byte[] plaintext = openArray(form.get(), context, observation);
      Observation.succeeded(observation, plaintext.length);
      return plaintext;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  private byte[] openArray(
      byte[] envelope, EncryptionContext context, @Nullable Observation observation) {
    DataKey atHand = keysAtHand.toDecrypt(envelope);
    if (atHand != null) {
      EnvelopeHeader header = atHand.header();
      header.requireBody(envelope.length - header.lengthBytes());
      Observation.key(observation, header.keyVersion(), CacheResult.HIT);
      requireFitAtHand(atHand);
      byte[] plaintext = openBody(atHand, envelope, context, /* atHand= */ true);
      if (plaintext != null) {
        return plaintext;
      }
      // The key was closed between lookup and use: the cache finds or unwraps another.
      keysAtHand.forget(atHand);
    }
    while (true) {
      Held<DataKey> held = dataKeys.cachedToDecrypt(envelope, wrappingPosition, keyset, keysAtHand);
      if (held != null) {
        EnvelopeHeader header = held.value().header();
        header.requireBody(envelope.length - header.lengthBytes());
        Observation.key(observation, header.keyVersion(), CacheResult.HIT);
        DataKeys.requireFitToDecrypt(held.value(), keyset);
      } else {
        EnvelopeHeader header = EnvelopeHeader.parse(envelope);
        header.requireBody(envelope.length - header.lengthBytes());
        held = dataKey(header, observation);
      }
      try {
        byte[] plaintext = openBody(held.value(), envelope, context, /* atHand= */ false);
        if (plaintext != null) {
          return plaintext;
        }
        // Closed as above; the next round unwraps it again.
        keysAtHand.forget(held.value());
      } finally {
        held.closeIfUncached();
      }
    }
  }

  /** The plaintext, or null if the key has been closed. */
  byte @Nullable [] openBody(
      DataKey key, byte[] envelope, EncryptionContext context, boolean atHand) {
    int bodyPosition = key.header().lengthBytes();
    if (key.header().suite() == AlgorithmSuite.ONE_SHOT) {
      return atHand
          ? key.messages().openAtHand(envelope, bodyPosition, context)
          : key.messages().open(envelope, bodyPosition, context);
    }
    try (ChunkCipher cipher =
        key.streams()
            .cipher(ChunkedBody.salt(envelope, bodyPosition), context.toCanonicalBytes())) {
      if (cipher == null) {
        return null;
      }
      if (atHand) {
        traffic.keyAtHand();
      }
      ChunkedBody.requireCommitment(cipher, envelope, bodyPosition);
      byte[] plaintext =
          ChunkedBody.open(cipher, envelope, bodyPosition + ChunkCipher.PREFIX_BYTES);
      traffic.decrypted(plaintext.length);
      return plaintext;
    }
  }

  // --- streams ---

  InputStream stream(InputStream envelope, EncryptionContext context) throws IOException {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      return stream(readHeader(envelope), envelope, context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  InputStream stream(byte[] header, InputStream body, EncryptionContext context)
      throws IOException {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      return stream(header, body, context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  /** The header at the start of {@code envelope}; reads nothing behind it. */
  static byte[] readHeader(InputStream envelope) throws IOException {
    byte[] start = envelope.readNBytes(EnvelopeHeader.NAME_POS);
    // What is refused by its first bytes does not wait for more of them, which may never come.
    return start.length < EnvelopeHeader.NAME_POS
        ? start
        : joined(start, envelope.readNBytes(EnvelopeHeader.restLength(start)));
  }

  /** The header at the start of {@code envelope}; reads nothing behind it. */
  static byte[] readHeader(SeekableByteChannel envelope) throws IOException {
    byte[] start = read(envelope, 0, EnvelopeHeader.NAME_POS);
    return start.length < EnvelopeHeader.NAME_POS
        ? start
        : joined(start, read(envelope, EnvelopeHeader.NAME_POS, EnvelopeHeader.restLength(start)));
  }

  private static byte[] joined(byte[] start, byte[] rest) {
    byte[] joined = Arrays.copyOf(start, start.length + rest.length);
    System.arraycopy(rest, 0, joined, start.length, rest.length);
    return joined;
  }

  private InputStream stream(
      byte[] headerBytes,
      InputStream body,
      EncryptionContext context,
      @Nullable Observation observation)
      throws IOException {
    EnvelopeHeader header = EnvelopeHeader.parseAlone(headerBytes);
    if (header.suite() == AlgorithmSuite.ONE_SHOT) {
      byte[] sealed = body.readNBytes(EnvelopeHeader.ONE_SHOT_MAX_BODY + 1);
      byte[] plaintext = openWhole(header, sealed, context, observation);
      Observation.succeeded(observation, plaintext.length);
      return new OpenedInputStream(plaintext, body);
    }
    byte[] prefix = body.readNBytes(ChunkCipher.PREFIX_BYTES);
    byte[] chunk = new byte[ChunkCipher.SEALED_CHUNK_BYTES];
    int chunkLength = body.readNBytes(chunk, 0, chunk.length);
    header.requireBody(prefix.length + chunkLength);
    ChunkCipher cipher = cipher(header, prefix, context, observation);
    return new DecryptingInputStream(
        body, cipher, chunk, chunkLength, StreamEnd.ofDecryption(observation, traffic));
  }

  SeekableByteChannel channel(SeekableByteChannel envelope, EncryptionContext context)
      throws IOException {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      EnvelopeHeader header = EnvelopeHeader.parse(read(envelope, 0, EnvelopeHeader.MAX_LEN));
      return channel(header, envelope, header.lengthBytes(), context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  SeekableByteChannel channel(byte[] header, SeekableByteChannel body, EncryptionContext context)
      throws IOException {
    Observation observation = Observation.start(announcer, Operation.DECRYPT, keyset.id());
    try {
      return channel(EnvelopeHeader.parseAlone(header), body, 0, context, observation);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  private SeekableByteChannel channel(
      EnvelopeHeader header,
      SeekableByteChannel source,
      long bodyPosition,
      EncryptionContext context,
      @Nullable Observation observation)
      throws IOException {
    long bodyLength = source.size() - bodyPosition;
    header.requireBody(bodyLength);
    if (header.suite() == AlgorithmSuite.ONE_SHOT) {
      byte[] body = read(source, bodyPosition, (int) bodyLength);
      byte[] plaintext = openWhole(header, body, context, observation);
      Observation.succeeded(observation, plaintext.length);
      return DecryptingChannel.ofWhole(source, plaintext);
    }
    byte[] prefix = read(source, bodyPosition, ChunkCipher.PREFIX_BYTES);
    if (prefix.length < ChunkCipher.PREFIX_BYTES) {
      header.requireBody(prefix.length); // it ends before its size
    }
    ChunkCipher cipher = cipher(header, prefix, context, observation);
    return DecryptingChannel.ofChunks(
        source,
        bodyPosition + ChunkCipher.PREFIX_BYTES,
        bodyLength - ChunkCipher.PREFIX_BYTES,
        cipher,
        StreamEnd.ofDecryption(observation, traffic));
  }

  private byte[] openWhole(
      EnvelopeHeader header,
      byte[] body,
      EncryptionContext context,
      @Nullable Observation observation) {
    return openArray(whole(header, body), context, observation);
  }

  static byte[] whole(EnvelopeHeader header, byte[] body) {
    return joined(header.encoded(), body);
  }

  /** The cipher of a chunked body, its commitment checked; the caller closes it. */
  private ChunkCipher cipher(
      EnvelopeHeader header,
      byte[] prefix,
      EncryptionContext context,
      @Nullable Observation observation) {
    byte[] canonicalContext = context.toCanonicalBytes();
    DataKey atHand = keysAtHand.toDecrypt(header.encoded());
    if (atHand != null) {
      Observation.key(observation, header.keyVersion(), CacheResult.HIT);
      requireFitAtHand(atHand);
      ChunkCipher cipher = atHand.streams().cipher(ChunkedBody.salt(prefix, 0), canonicalContext);
      if (cipher != null) {
        traffic.keyAtHand();
        return checked(cipher, prefix);
      }
      keysAtHand.forget(atHand);
    }
    while (true) {
      Held<DataKey> held =
          dataKeys.cachedToDecrypt(header.encoded(), wrappingPosition, keyset, keysAtHand);
      if (held != null) {
        Observation.key(observation, header.keyVersion(), CacheResult.HIT);
        DataKeys.requireFitToDecrypt(held.value(), keyset);
      } else {
        held = dataKey(header, observation);
      }
      try {
        ChunkCipher cipher =
            held.value().streams().cipher(ChunkedBody.salt(prefix, 0), canonicalContext);
        if (cipher != null) {
          return checked(cipher, prefix);
        }
        keysAtHand.forget(held.value());
      } finally {
        held.closeIfUncached();
      }
    }
  }

  static ChunkCipher checked(ChunkCipher cipher, byte[] prefix) {
    try {
      ChunkedBody.requireCommitment(cipher, prefix, 0);
      return cipher;
    } catch (DecryptionFailedException e) {
      cipher.close();
      throw e;
    }
  }

  // --- checks ---

  /**
   * Whoever goes on counts the key that was at hand; it has been looked at also if refused here.
   */
  private void requireFitAtHand(DataKey key) {
    try {
      DataKeys.requireFitToDecrypt(key, keyset);
    } catch (RuntimeException e) {
      traffic.keyAtHand();
      throw e;
    }
  }

  private Held<DataKey> dataKey(EnvelopeHeader header, @Nullable Observation observation) {
    Keyset snapshot = snapshotFor(header, observation);
    return dataKeys.unwrapToDecrypt(header, keyset, snapshot);
  }

  private Keyset snapshotFor(EnvelopeHeader header, @Nullable Observation observation) {
    requireOwn(header, keyset, observation);
    return keyset.snapshot(header.keyVersion());
  }

  static void requireOwn(
      EnvelopeHeader header, OpenKeyset keyset, @Nullable Observation observation) {
    if (!header.keyset().equals(keyset.id())) {
      throw new KeyUnavailableException(
          KeyUnavailableException.Reason.OTHER_KEYSET,
          keyset.id(),
          header.keyVersion(),
          "the envelope names keyset " + header.keyset() + "; use the cipher of that keyset");
    }
    Observation.key(observation, header.keyVersion(), CacheResult.MISS);
  }

  private void failed(@Nullable Observation observation, Throwable failure) {
    traffic.failures.increment();
    Observation.failed(observation, failure);
  }

  /** Up to {@code length} bytes from {@code position} on; fewer at the end of the channel. */
  static byte[] read(SeekableByteChannel channel, long position, int length) throws IOException {
    ByteBuffer in = ByteBuffer.allocate(length);
    channel.position(position);
    while (in.hasRemaining() && channel.read(in) >= 0) {
      // a channel may return less than asked for
    }
    return Arrays.copyOf(in.array(), in.position());
  }
}
