package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.pkcs11.BareModule;
import dev.sealwax.kms.pkcs11.Pkcs11RootKey;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.Provider;
import java.security.Security;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;

/**
 * An unwrap by AES-GCM in a token: Sealwax, SunPKCS11 and the binding alone, taking turns in one
 * process on one key; and what two threads do against one. Arguments as those of {@link
 * HsmQuickStart}, then {@code --rounds N} (200); the token is the first one of the module.
 */
public final class UnwrapSpeed {
  private static final String LABEL = "sealwax-examples";
  private static final int CALLS_A_TURN = 50;
  private static final long RATE_NANOS = 250_000_000;
  private static final EncryptionContext CONTEXT = EncryptionContext.of("keyset", "orders");

  /** What is measured: an unwrap, for one thread. */
  private record Column(String name, Callable<?> first, Callable<?> second) {}

  private UnwrapSpeed() {}

  public static void main(String[] args) throws Exception {
    HsmExample.main(UnwrapSpeed.class, args, UnwrapSpeed::run);
  }

  static void run(HsmKey key, Path directory, List<String> options, PrintStream out)
      throws IOException {
    int rounds = options.isEmpty() ? 200 : Integer.parseInt(options.get(1));
    try (Pkcs11RootKey rootKey = key.open();
        BareModule bare1 = BareModule.open(key.module(), 0, LABEL);
        BareModule bare2 = BareModule.open(key.module(), 0, LABEL)) {
      Provider sun = sunPkcs11(key.module(), directory);
      List<Column> columns =
          List.of(
              new Column("Sealwax", sealwax(rootKey), sealwax(rootKey)),
              new Column("SunPKCS11", sunPkcs11(sun), sunPkcs11(sun)),
              new Column("binding alone", bare1::unwrap, bare2::unwrap));
      out.printf("JDK %s, %s%n%n", Runtime.version(), key.description());
      latencies(columns, rounds, out);
      threads(columns, Math.max(3, rounds / 10), out);
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static Callable<?> sealwax(Pkcs11RootKey rootKey) {
    WrappedKey wrapped;
    try (KeyMaterial secret = KeyMaterial.copyOf(new byte[64])) {
      wrapped = rootKey.wrap(secret, CONTEXT);
    }
    return () -> {
      rootKey.unwrap(wrapped, CONTEXT).close();
      return wrapped;
    };
  }

  private static Provider sunPkcs11(Path module, Path directory) throws IOException {
    Path configuration =
        Files.writeString(
            directory.resolve("sunpkcs11.cfg"),
            "name = Bench\nlibrary = " + module + "\nslotListIndex = 0\n");
    return Security.getProvider("SunPKCS11").configure(configuration.toString());
  }

  private static Callable<?> sunPkcs11(Provider provider)
      throws GeneralSecurityException, IOException {
    KeyStore keyStore = KeyStore.getInstance("PKCS11", provider);
    keyStore.load(null, String.valueOf(System.getenv(SoftHsm.PIN_VARIABLE)).toCharArray());
    SecretKey key = (SecretKey) keyStore.getKey(LABEL, null);
    byte[] associatedData = new byte[64];
    Cipher encrypting = Cipher.getInstance("AES/GCM/NoPadding", provider);
    encrypting.init(Cipher.ENCRYPT_MODE, key);
    encrypting.updateAAD(associatedData);
    byte[] sealed = encrypting.doFinal(new byte[64]);
    byte[] iv = encrypting.getIV();
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding", provider);
    return () -> {
      cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(128, iv));
      cipher.updateAAD(associatedData);
      return cipher.doFinal(sealed);
    };
  }

  private static void latencies(List<Column> columns, int rounds, PrintStream out)
      throws Exception {
    List<long[]> nanos = new ArrayList<>();
    for (Column column : columns) {
      nanos.add(new long[rounds * CALLS_A_TURN]);
      turn(column.first(), new long[10 * CALLS_A_TURN], 0, 10 * CALLS_A_TURN);
    }
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < columns.size(); i++) {
        // Another one begins each round.
        int column = (i + round) % columns.size();
        turn(columns.get(column).first(), nanos.get(column), round * CALLS_A_TURN, CALLS_A_TURN);
      }
    }
    out.println("| unwrap by AES-GCM, µs | p50 | p95 | p50, SunPKCS11 = 1 |\n|---|---|---|---|");
    nanos.forEach(Arrays::sort);
    for (int i = 0; i < columns.size(); i++) {
      out.printf(
          Locale.ROOT,
          "| %s | %.1f | %.1f | %.2f |%n",
          columns.get(i).name(),
          micros(nanos.get(i), 0.5),
          micros(nanos.get(i), 0.95),
          micros(nanos.get(i), 0.5) / micros(nanos.get(1), 0.5));
    }
  }

  private static void turn(Callable<?> unwrap, long[] nanos, int from, int calls) throws Exception {
    for (int i = 0; i < calls; i++) {
      long start = System.nanoTime();
      unwrap.call();
      nanos[from + i] = System.nanoTime() - start;
    }
  }

  private static double micros(long[] sorted, double share) {
    return sorted[(int) (sorted.length * share)] / 1000.0;
  }

  private static void threads(List<Column> columns, int rounds, PrintStream out) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      out.println("\n| unwraps per second | 1 thread | 2 threads | ratio |\n|---|---|---|---|");
      double[][] one = new double[columns.size()][rounds];
      double[][] two = new double[columns.size()][rounds];
      for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < columns.size(); i++) {
          Column column = columns.get(i);
          one[i][round] = rate(threads, List.of(column.first()));
          two[i][round] = rate(threads, List.of(column.first(), column.second()));
        }
      }
      for (int i = 0; i < columns.size(); i++) {
        double[] ratios = new double[rounds];
        for (int round = 0; round < rounds; round++) {
          ratios[round] = two[i][round] / one[i][round];
        }
        out.printf(
            Locale.ROOT,
            "| %s | %,.0f | %,.0f | %.2f |%n",
            columns.get(i).name(),
            median(one[i]),
            median(two[i]),
            median(ratios));
      }
    } finally {
      threads.shutdown();
    }
  }

  private static double rate(ExecutorService threads, List<Callable<?>> unwraps) throws Exception {
    List<Future<Double>> rates = new ArrayList<>();
    for (Callable<?> unwrap : unwraps) {
      rates.add(threads.submit(() -> rate(unwrap)));
    }
    double sum = 0;
    for (Future<Double> rate : rates) {
      sum += rate.get();
    }
    return sum;
  }

  private static double rate(Callable<?> unwrap) throws Exception {
    long start = System.nanoTime();
    long calls = 0;
    long elapsed;
    do {
      unwrap.call();
      calls++;
      elapsed = System.nanoTime() - start;
    } while (elapsed < RATE_NANOS);
    return calls * 1e9 / elapsed;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
