package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.security.SecureRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KeyMaterialTest {
  @Test
  void copyOf_isApartFromTheArray() {
    byte[] mine = {1, 2, 3};
    try (KeyMaterial key = KeyMaterial.copyOf(mine)) {
      mine[0] = 9;
      assertArrayEquals(new byte[] {1, 2, 3}, key.use(byte[]::clone));
      assertEquals(3, key.lengthBytes());
    }
    assertArrayEquals(new byte[] {9, 2, 3}, mine);
  }

  @Test
  void owning_isTheArray_andCloseWipesIt() {
    byte[] given = {1, 2, 3};
    KeyMaterial key = KeyMaterial.owning(given);
    assertSame(given, key.use(bytes -> bytes));
    key.close();
    assertArrayEquals(new byte[3], given);
    key.close();
  }

  @Test
  void random_isAsLongAsAsked_andNeverTheSame() {
    SecureRandom random = new SecureRandom();
    try (KeyMaterial one = KeyMaterial.random(random, 32);
        KeyMaterial other = KeyMaterial.random(random, 32)) {
      assertEquals(32, one.lengthBytes());
      assertFalse(one.contentEquals(other));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 4097})
  void length_outsideTheLimits_isRefused(int length) {
    byte[] bytes = new byte[length];
    assertThrows(IllegalArgumentException.class, () -> KeyMaterial.copyOf(bytes));
    assertThrows(IllegalArgumentException.class, () -> KeyMaterial.owning(bytes));
    assertThrows(
        IllegalArgumentException.class, () -> KeyMaterial.random(new SecureRandom(), length));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4096})
  void length_atTheLimits_isTaken(int length) {
    KeyMaterial.copyOf(new byte[length]).close();
    KeyMaterial.random(new SecureRandom(), length).close();
  }

  @Test
  void contentEquals_comparesBytes_equalsDoesNot() {
    try (KeyMaterial one = KeyMaterial.copyOf(new byte[] {1, 2});
        KeyMaterial same = KeyMaterial.copyOf(new byte[] {1, 2});
        KeyMaterial other = KeyMaterial.copyOf(new byte[] {1, 3})) {
      assertTrue(one.contentEquals(same));
      assertFalse(one.contentEquals(other));
      assertNotEquals(one, same);
    }
  }

  @Test
  void closed_refusesUse() {
    KeyMaterial key = KeyMaterial.copyOf(new byte[] {1});
    KeyMaterial open = KeyMaterial.copyOf(new byte[] {1});
    key.close();
    assertThrows(IllegalStateException.class, () -> key.use(bytes -> bytes.length));
    assertThrows(IllegalStateException.class, () -> key.contentEquals(open));
    assertThrows(IllegalStateException.class, () -> open.contentEquals(key));
    open.close();
  }

  @Test
  void toString_saysTheLengthOnly() {
    try (KeyMaterial key = KeyMaterial.copyOf(new byte[] {77, 78})) {
      assertEquals("KeyMaterial[2 bytes]", key.toString());
    }
  }
}
