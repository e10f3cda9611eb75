package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.bouncycastle.crypto.InvalidCipherTextException;
import org.bouncycastle.crypto.engines.AESEngine;
import org.bouncycastle.crypto.engines.RFC5649WrapEngine;
import org.bouncycastle.crypto.params.KeyParameter;
import org.junit.jupiter.api.Test;

final class KeyWrapTest {
  private final Random random = new Random(42);

  private byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  private static RFC5649WrapEngine bouncyCastle(boolean wrapping, byte[] kek) {
    RFC5649WrapEngine engine = new RFC5649WrapEngine(AESEngine.newInstance());
    engine.init(wrapping, new KeyParameter(kek));
    return engine;
  }

  @Test
  void wrapAndUnwrap_manyKeys_agreeWithBouncyCastle() throws InvalidCipherTextException {
    for (int i = 0; i < 200; i++) {
      byte[] kek = bytes(32);
      byte[] key = bytes(32);
      try (KeyWrap keyWrap = KeyWrap.of(kek)) {
        byte[] wrapped = keyWrap.wrap(key);
        assertEquals(KeyWrap.WRAPPED_BYTES, wrapped.length);
        assertArrayEquals(bouncyCastle(true, kek).wrap(key, 0, 32), wrapped);
        assertArrayEquals(key, keyWrap.unwrap(wrapped, 0));
        byte[] inside = new byte[60];
        System.arraycopy(wrapped, 0, inside, 13, 40);
        assertArrayEquals(key, keyWrap.unwrap(inside, 13));
        assertArrayEquals(wrapped, keyWrap.wrap(key), "deterministic");
      }
    }
  }

  @Test
  void unwrap_anyBitFlipped_failsAndTheNextCallWorks() {
    try (KeyWrap keyWrap = KeyWrap.of(bytes(32))) {
      byte[] key = bytes(32);
      byte[] wrapped = keyWrap.wrap(key);
      for (int bit = 0; bit < wrapped.length * 8; bit++) {
        byte[] flipped = wrapped.clone();
        flipped[bit / 8] ^= (byte) (1 << bit % 8);
        assertThrows(DecryptionFailedException.class, () -> keyWrap.unwrap(flipped, 0));
        assertArrayEquals(key, keyWrap.unwrap(wrapped, 0));
      }
    }
  }

  @Test
  void unwrap_authenticWrappingOfAShorterKey_fails() {
    byte[] kek = bytes(32);
    try (KeyWrap keyWrap = KeyWrap.of(kek)) {
      for (int length = 25; length < 32; length++) {
        byte[] wrapped = bouncyCastle(true, kek).wrap(bytes(length), 0, length);
        assertEquals(KeyWrap.WRAPPED_BYTES, wrapped.length);
        assertThrows(DecryptionFailedException.class, () -> keyWrap.unwrap(wrapped, 0));
      }
    }
  }

  @Test
  void of_keyIsCopied() {
    byte[] kek = bytes(32);
    try (KeyWrap keyWrap = KeyWrap.of(kek)) {
      byte[] key = bytes(32);
      byte[] expected = bouncyCastle(true, kek).wrap(key, 0, 32);
      Arrays.fill(kek, (byte) 0);
      assertArrayEquals(expected, keyWrap.wrap(key));
    }
  }

  @Test
  void lengths_others_throw() {
    assertThrows(IllegalArgumentException.class, () -> KeyWrap.of(new byte[31]));
    try (KeyWrap keyWrap = KeyWrap.of(bytes(32))) {
      assertThrows(IllegalArgumentException.class, () -> keyWrap.wrap(new byte[33]));
    }
  }

  @Test
  void closed_refusesBothWays() {
    KeyWrap keyWrap = KeyWrap.of(bytes(32));
    byte[] wrapped = keyWrap.wrap(bytes(32));
    keyWrap.close();
    keyWrap.close();
    assertThrows(KeyClosedException.class, () -> keyWrap.wrap(new byte[32]));
    assertThrows(KeyClosedException.class, () -> keyWrap.unwrap(wrapped, 0));
  }

  @Test
  void closedWhileManyWrap_noneUsesAWipedKey() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try {
      for (int round = 0; round < 200; round++) {
        byte[] kek = bytes(32);
        byte[] key = bytes(32);
        byte[] expected = bouncyCastle(true, kek).wrap(key, 0, 32);
        KeyWrap keyWrap = KeyWrap.of(kek);
        List<Future<Integer>> workers = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
          workers.add(threads.submit(() -> wrapUntilClosed(keyWrap, key, expected)));
        }
        Thread.onSpinWait();
        keyWrap.close();
        for (Future<Integer> worker : workers) {
          assertTrue(worker.get(60, TimeUnit.SECONDS) >= 0);
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static int wrapUntilClosed(KeyWrap keyWrap, byte[] key, byte[] expected) {
    for (int count = 0; ; count++) {
      try {
        assertArrayEquals(expected, keyWrap.wrap(key));
        assertArrayEquals(key, keyWrap.unwrap(expected, 0));
      } catch (KeyClosedException e) {
        return count;
      }
    }
  }
}
