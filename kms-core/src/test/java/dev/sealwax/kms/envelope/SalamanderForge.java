package dev.sealwax.kms.envelope;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;

/**
 * Makes AES-GCM ciphertexts that open under two keys ("invisible salamanders"), to show that
 * envelopes refuse them.
 *
 * <p>The tag is a polynomial in the hash key over GF(2^128), masked by a block of key stream.
 * Setting the tags of both keys equal leaves a linear equation for any one block of ciphertext; the
 * last block is the one solved for here.
 */
final class SalamanderForge {
  /** One of the two ways to read the ciphertext: an AES-256 key and a nonce of 12 bytes. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Reading(byte[] key, byte[] nonce) {}

  private SalamanderForge() {}

  /**
   * Ciphertext and tag that are authentic under both readings.
   *
   * @param ciphertext whole blocks of 16 bytes that the result starts with, as many as wanted, also
   *     none
   * @return {@code ciphertext}, the solved block and the tag
   */
  static byte[] forge(Reading a, Reading b, byte[] aad, byte[] ciphertext) {
    if (ciphertext.length % 16 != 0) {
      throw new IllegalArgumentException(
          "ciphertext must be whole blocks, got " + ciphertext.length + " bytes");
    }
    byte[] hashed = hashedBytes(aad, ciphertext);
    Element hashKeyA = Element.of(aes(a.key(), new byte[16]));
    Element hashKeyB = Element.of(aes(b.key(), new byte[16]));
    Element restA = ghash(hashKeyA, hashed).plus(Element.of(aes(a.key(), firstCounter(a.nonce()))));
    Element restB = ghash(hashKeyB, hashed).plus(Element.of(aes(b.key(), firstCounter(b.nonce()))));
    // The solved block is hashed last but one, hence multiplied by the square of the hash key.
    Element squareA = hashKeyA.times(hashKeyA);
    Element squareB = hashKeyB.times(hashKeyB);
    Element solved = restA.plus(restB).times(squareA.plus(squareB).inverse());
    Element tag = restA.plus(solved.times(squareA));
    return ByteBuffer.allocate(ciphertext.length + 32)
        .put(ciphertext)
        .putLong(solved.high())
        .putLong(solved.low())
        .putLong(tag.high())
        .putLong(tag.low())
        .array();
  }

  /** What GHASH runs over, with a zero block in the place of the one to be solved. */
  private static byte[] hashedBytes(byte[] aad, byte[] ciphertext) {
    int paddedAad = (aad.length + 15) / 16 * 16;
    ByteBuffer out = ByteBuffer.allocate(paddedAad + ciphertext.length + 16 + 16);
    out.put(aad).position(paddedAad);
    out.put(ciphertext).position(paddedAad + ciphertext.length + 16);
    return out.putLong(aad.length * 8L).putLong((ciphertext.length + 16) * 8L).array();
  }

  private static byte[] firstCounter(byte[] nonce) {
    byte[] counter = Arrays.copyOf(nonce, 16);
    counter[15] = 1;
    return counter;
  }

  private static Element ghash(Element hashKey, byte[] blocks) {
    Element sum = new Element(0, 0);
    ByteBuffer in = ByteBuffer.wrap(blocks);
    while (in.hasRemaining()) {
      sum = sum.plus(new Element(in.getLong(), in.getLong())).times(hashKey);
    }
    return sum;
  }

  private static byte[] aes(byte[] key, byte[] block) {
    try {
      Cipher cipher = Cipher.getInstance("AES/ECB/NoPadding");
      cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"));
      return cipher.doFinal(block);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK lacks AES", e);
    }
  }

  /**
   * An element of GF(2^128) in the bit order of GCM: the highest bit of {@code high} is the
   * constant term.
   */
  private record Element(long high, long low) {
    static Element of(byte[] block) {
      ByteBuffer in = ByteBuffer.wrap(block);
      return new Element(in.getLong(), in.getLong());
    }

    Element plus(Element other) {
      return new Element(high ^ other.high, low ^ other.low);
    }

    Element times(Element other) {
      long productHigh = 0;
      long productLow = 0;
      long shiftedHigh = other.high;
      long shiftedLow = other.low;
      for (int i = 0; i < 128; i++) {
        long bit = (i < 64 ? high >>> (63 - i) : low >>> (127 - i)) & 1;
        productHigh ^= -bit & shiftedHigh;
        productLow ^= -bit & shiftedLow;
        long carry = shiftedLow & 1;
        shiftedLow = shiftedLow >>> 1 | shiftedHigh << 63;
        shiftedHigh = shiftedHigh >>> 1 ^ (-carry & 0xe1L << 56);
      }
      return new Element(productHigh, productLow);
    }

    /** The power 2^128 - 2, which inverts everything but zero. */
    Element inverse() {
      Element square = this;
      Element product = new Element(1L << 63, 0);
      for (int i = 1; i < 128; i++) {
        square = square.times(square);
        product = product.times(square);
      }
      return product;
    }
  }
}
