package dev.sealwax.kms.crypto;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.bouncycastle.crypto.generators.HKDFBytesGenerator;
import org.bouncycastle.crypto.params.HKDFParameters;

/** HKDF agrees with Bouncy Castle's, which shares no code with it. */
class HkdfProperties {
  @Property(tries = 300)
  void extractAndExpand_agreeWithBouncyCastle(
      @ForAll @Size(min = 1, max = 200) byte[] salt,
      @ForAll @Size(min = 1, max = 200) byte[] inputKey,
      @ForAll @Size(max = 200) byte[] info,
      @ForAll @IntRange(min = 1, max = 8160) int length) {
    HKDFBytesGenerator generator = new HKDFBytesGenerator(new SHA256Digest());
    generator.init(new HKDFParameters(inputKey, salt, info));
    byte[] expected = new byte[length];
    generator.generateBytes(expected, 0, length);
    assertArrayEquals(expected, Hkdf.expand(Hkdf.extract(salt, inputKey), info, length));
  }
}
