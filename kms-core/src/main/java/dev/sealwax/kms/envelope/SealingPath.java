package dev.sealwax.kms.envelope;

import dev.sealwax.kms.cache.Held;
import dev.sealwax.kms.crypto.ChunkCipher;
import dev.sealwax.kms.crypto.ChunkedKey;
import dev.sealwax.kms.crypto.GcmKey;
import dev.sealwax.kms.envelope.DataKeys.Purpose;
import dev.sealwax.kms.events.Announcer;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.OpenKeyset;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsEvent.CacheResult;
import dev.sealwax.kms.vocabulary.KmsEvent.Operation;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The way of a plaintext into an envelope: keyset snapshot, data key, body, header in front. Safe
 * for concurrent use.
 */
final class SealingPath {
  /**
   * Longest message of the one-shot suite, in bytes. Longer arrays take the chunked suite by
   * themselves: SunJCE is slow at arrays of 64 KiB and more until its loops are compiled for them,
   * which takes hundreds of messages.
   */
  static final int ONE_SHOT_MAX_BYTES = 32 * 1024;

  private static final long UNKNOWN_LENGTH = -1;

  private final OpenKeyset keyset;
  private final DataKeys dataKeys;
  private final KeysAtHand keysAtHand;
  private final DataKeyPolicy policy;
  private final Traffic traffic;
  private final Announcer announcer;
  private final Purpose oneShot;
  private final Purpose chunked;

  SealingPath(
      OpenKeyset keyset,
      DataKeys dataKeys,
      KeysAtHand keysAtHand,
      DataKeyPolicy policy,
      Traffic traffic,
      Announcer announcer) {
    this.keyset = keyset;
    this.dataKeys = dataKeys;
    this.keysAtHand = keysAtHand;
    this.policy = policy;
    this.traffic = traffic;
    this.announcer = announcer;
    this.oneShot = new Purpose(keyset.id(), AlgorithmSuite.ONE_SHOT);
    this.chunked = new Purpose(keyset.id(), AlgorithmSuite.CHUNKED);
  }

  KeysetId keyset() {
    return keyset.id();
  }

  byte[] seal(byte[] plaintext, EncryptionContext context) {
    Observation observation = Observation.start(announcer, Operation.ENCRYPT, keyset.id());
    try {
      byte[] envelope = sealArray(plaintext, context, observation, /* fresh= */ false);
      Observation.succeeded(observation, plaintext.length);
      return envelope;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  String sealText(byte[] plaintext, EncryptionContext context) {
    return seal(plaintext, context, TextForm::encode);
  }

  SplitEnvelope sealSplit(byte[] plaintext, EncryptionContext context) {
    return seal(plaintext, context, SplitEnvelope::of);
  }

  /** Seals to another form, which takes part of the time. */
  private <T> T seal(byte[] plaintext, EncryptionContext context, Function<byte[], T> form) {
    Observation observation = Observation.start(announcer, Operation.ENCRYPT, keyset.id());
    try {
      T envelope = form.apply(sealArray(plaintext, context, observation, /* fresh= */ false));
      Observation.succeeded(observation, plaintext.length);
      return envelope;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  /**
   * Seals under a data key that no other message has used or will use, and ends {@code
   * observation}.
   */
  byte[] sealAfresh(
      byte[] plaintext, EncryptionContext context, @Nullable Observation observation) {
    try {
      byte[] envelope = sealArray(plaintext, context, observation, /* fresh= */ true);
      Observation.succeeded(observation, plaintext.length);
      return envelope;
    } catch (RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  /** The same to {@code sink}, without closing it; a sink that fails is how the operation ends. */
  void sealAfresh(
      byte[] plaintext,
      EncryptionContext context,
      OutputStream sink,
      @Nullable Observation observation)
      throws IOException {
    try {
      sink.write(sealArray(plaintext, context, observation, /* fresh= */ true));
      sink.flush();
      Observation.succeeded(observation, plaintext.length);
    } catch (IOException | RuntimeException | Error e) {
      failed(observation, e);
      throw e;
    }
  }

  private byte[] sealArray(
      byte[] plaintext,
      EncryptionContext context,
      @Nullable Observation observation,
      boolean fresh) {
    boolean alone = fresh || plaintext.length > policy.maxBytes();
    return plaintext.length <= ONE_SHOT_MAX_BYTES
        ? sealOneShot(plaintext, context, alone, observation)
        : sealChunked(plaintext, context, alone, observation);
  }

  private void failed(@Nullable Observation observation, Throwable failure) {
    traffic.failures.increment();
    Observation.failed(observation, failure);
  }

  private byte[] sealOneShot(
      byte[] plaintext,
      EncryptionContext context,
      boolean alone,
      @Nullable Observation observation) {
    Keyset snapshot = keyset.snapshotToWrap(0);
    DataKey atHand = alone ? null : keysAtHand.toEncrypt(snapshot);
    if (atHand != null) {
      Observation.key(observation, atHand.header().keyVersion(), CacheResult.HIT);
      byte[] envelope = sealBody(atHand, plaintext, context, /* atHand= */ true);
      if (envelope != null) {
        return envelope;
      }
      // The cache finds or makes another.
      keysAtHand.forget(atHand);
      Observation.key(observation, 0, CacheResult.NONE);
      snapshot = keyset.snapshotToWrap(0);
    }
    while (true) {
      Held<DataKey> cached = alone ? null : dataKeys.cachedToEncrypt(oneShot, keyset, snapshot);
      Held<DataKey> held = cached != null ? cached : newKey(oneShot, snapshot, alone);
      note(observation, held, cached);
      try {
        byte[] envelope = sealBody(held.value(), plaintext, context, /* atHand= */ false);
        if (envelope != null) {
          if (cached != null) {
            dataKeys.hit(cached);
            keysAtHand.rememberToEncrypt(cached);
          }
          return envelope;
        }
        // Exhausted, or closed between lookup and use: either way the next round finds or makes
        // another key.
        keysAtHand.forget(held.value());
        dataKeys.retire(oneShot, held);
      } finally {
        held.closeIfUncached();
      }
      snapshot = keyset.snapshotToWrap(0);
    }
  }

  /** The envelope, or null if the budget of the key is spent or the key has been closed. */
  private static byte @Nullable [] sealBody(
      DataKey key, byte[] plaintext, EncryptionContext context, boolean atHand) {
    EnvelopeHeader header = key.header();
    int bodyPosition = header.lengthBytes();
    byte[] out = new byte[bodyPosition + GcmKey.NONCE_BYTES + plaintext.length + GcmKey.TAG_BYTES];
    GcmKey.Sealing sealing =
        atHand
            ? key.messages().sealAtHand(plaintext, context, out, bodyPosition)
            : key.messages().seal(plaintext, context, out, bodyPosition);
    if (sealing != GcmKey.Sealing.DONE) {
      return null;
    }
    header.writeTo(out);
    return out;
  }

  private byte[] sealChunked(
      byte[] plaintext,
      EncryptionContext context,
      boolean alone,
      @Nullable Observation observation) {
    StreamStart start = startStream(context, plaintext.length, alone, observation);
    try (ChunkCipher cipher = start.cipher()) {
      byte[] envelope = ChunkedBody.seal(start.header(), start.salt(), cipher, plaintext);
      traffic.encrypted(plaintext.length);
      return envelope;
    }
  }

  private Held<DataKey> newKey(Purpose purpose, Keyset snapshot, boolean alone) {
    return alone
        ? Held.uncached(dataKeys.makeSingleUse(purpose, keyset, snapshot))
        : dataKeys.makeToEncrypt(purpose, keyset, snapshot);
  }

  private static void note(
      @Nullable Observation observation, Held<DataKey> held, @Nullable Held<DataKey> cached) {
    Observation.key(
        observation,
        held.value().header().keyVersion(),
        cached == null ? CacheResult.MISS : CacheResult.HIT);
  }

  private StreamStart startStream(
      EncryptionContext context,
      long knownBytes,
      boolean alone,
      @Nullable Observation observation) {
    byte[] salt = new byte[ChunkCipher.SALT_BYTES];
    dataKeys.random().nextBytes(salt);
    byte[] canonicalContext = context.toCanonicalBytes();
    while (true) {
      Keyset snapshot = keyset.snapshotToWrap(0);
      Held<DataKey> cached = alone ? null : dataKeys.cachedToEncrypt(chunked, keyset, snapshot);
      Held<DataKey> held = cached != null ? cached : newKey(chunked, snapshot, alone);
      note(observation, held, cached);
      try {
        DataKey key = held.value();
        ChunkCipher cipher =
            knownBytes == UNKNOWN_LENGTH
                ? cipherOfUnknownLength(key.streams(), salt, canonicalContext)
                : key.streams().charge(knownBytes)
                    ? key.streams().cipher(salt, canonicalContext)
                    : null;
        if (cipher != null) {
          if (cached != null) {
            dataKeys.hit(cached);
          }
          return new StreamStart(key.header(), salt, cipher);
        }
        dataKeys.retire(chunked, held);
      } finally {
        held.closeIfUncached();
      }
    }
  }

  private static @Nullable ChunkCipher cipherOfUnknownLength(
      ChunkedKey streams, byte[] salt, byte[] context) {
    return streams.charge(0) ? streams.cipherOfUnknownLength(salt, context) : null;
  }

  EnvelopeOutputStream stream(
      OutputStream sink, EncryptionContext context, HeaderPlace headerPlace) {
    Observation observation = Observation.start(announcer, Operation.ENCRYPT, keyset.id());
    return stream(sink, context, headerPlace, observation, /* alone= */ false);
  }

  /** As {@link #sealAfresh}, for a stream; ends {@code observation} as the stream ends. */
  EnvelopeOutputStream streamAfresh(
      OutputStream sink, EncryptionContext context, @Nullable Observation observation) {
    return stream(sink, context, HeaderPlace.IN_STREAM, observation, /* alone= */ true);
  }

  private EnvelopeOutputStream stream(
      OutputStream sink,
      EncryptionContext context,
      HeaderPlace headerPlace,
      @Nullable Observation observation,
      boolean alone) {
    StreamEnd end = StreamEnd.ofEncryption(observation, traffic);
    try {
      StreamStart start = startStream(context, UNKNOWN_LENGTH, alone, observation);
      return new EnvelopeOutputStream(sink, start, headerPlace, end);
    } catch (RuntimeException | Error e) {
      end.failed(e);
      throw e;
    }
  }

  InputStream pullingStream(InputStream plaintext, EncryptionContext context) {
    Observation observation = Observation.start(announcer, Operation.ENCRYPT, keyset.id());
    StreamEnd end = StreamEnd.ofEncryption(observation, traffic);
    try {
      StreamStart start = startStream(context, UNKNOWN_LENGTH, /* alone= */ false, observation);
      return new EncryptingInputStream(plaintext, start, end);
    } catch (RuntimeException | Error e) {
      end.failed(e);
      throw e;
    }
  }

  long chunkedEnvelopeLength(long plaintextBytes) {
    return EnvelopeHeader.lengthFor(keyset.id()) + ChunkedBody.lengthFor(plaintextBytes);
  }
}
