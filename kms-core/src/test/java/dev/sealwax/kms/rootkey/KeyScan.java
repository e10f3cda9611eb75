package dev.sealwax.kms.rootkey;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Counts how often each of many byte strings occurs in a file. */
final class KeyScan {
  private KeyScan() {}

  /** Name to occurrences, in the order of {@code keys}, zeros included. */
  static Map<String, Integer> count(Path file, Map<String, byte[]> keys) throws IOException {
    Map<Integer, List<String>> byStart = new HashMap<>();
    Map<String, Integer> counts = new LinkedHashMap<>();
    BitSet starts = new BitSet(1 << 24);
    keys.forEach(
        (name, key) -> {
          byStart.computeIfAbsent(start(key, 0), s -> new ArrayList<>()).add(name);
          starts.set(start(key, 0));
          counts.put(name, 0);
        });
    byte[] in = Files.readAllBytes(file);
    for (int i = 0; i + 3 <= in.length; i++) {
      if (starts.get(start(in, i))) {
        for (String name : byStart.get(start(in, i))) {
          byte[] key = keys.get(name);
          if (i + key.length <= in.length
              && Arrays.equals(in, i, i + key.length, key, 0, key.length)) {
            counts.merge(name, 1, Integer::sum);
          }
        }
      }
    }
    return counts;
  }

  private static int start(byte[] bytes, int offset) {
    return (bytes[offset] & 0xff) << 16
        | (bytes[offset + 1] & 0xff) << 8
        | (bytes[offset + 2] & 0xff);
  }
}
