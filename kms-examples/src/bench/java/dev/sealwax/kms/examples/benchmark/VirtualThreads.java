package dev.sealwax.kms.examples.benchmark;

import com.sun.management.OperatingSystemMXBean;
import dev.sealwax.kms.Kms;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import javax.management.ObjectName;

/**
 * One 1 KiB encrypt in each of very many virtual threads: CPU time of the whole process per task,
 * and ciphers left in the heap. Needs JDK 21 or later.
 */
final class VirtualThreads {
  private static final byte[] MESSAGE = new byte[1024];

  private VirtualThreads() {}

  static String table(ChildJvm jvm) throws Exception {
    if (Runtime.version().feature() < 21) {
      return "This JDK has no virtual threads; run the table on JDK 25 for this row.\n";
    }
    StringBuilder out =
        new StringBuilder("| " + jvm.scale().tasks() + " virtual threads, one 1 KiB encrypt each |")
            .append(" CPU us per task | ciphers left |\n|---|---|---|\n");
    for (String column : List.of("nothing", "Cipher.getInstance", "raw", "Tink Aead", "Sealwax")) {
      // A JVM for each column: garbage of one must not be paid for by another.
      Figures figures = jvm.repeat(VirtualThreads.class, column);
      out.append(
          Figures.format(
              "| %s | %s | %.0f |\n",
              column.equals("raw") ? "raw (cipher and 128 nonces per thread)" : column,
              figures.ofWithRange("micros"),
              figures.of("ciphers")));
    }
    return out.toString();
  }

  public static void main(String[] arguments) throws Throwable {
    Scale scale = Scale.valueOf(arguments[0]);
    try (Kms kms = Sealwax.inMemory(Path.of(arguments[1]))) {
      Interleave.Operation task = task(kms, arguments[2]);
      double[] micros = new double[scale.repetitions()];
      round(task, scale.tasks());
      for (int i = 0; i < micros.length; i++) {
        micros[i] = round(task, scale.tasks());
      }
      Figures.report("micros", Figures.median(micros));
      Figures.report("ciphers", (double) liveCiphers());
    }
  }

  private static Interleave.Operation task(Kms kms, String name) throws Exception {
    if (name.equals("nothing")) {
      return () -> MESSAGE;
    }
    Column column =
        switch (name) {
          case "Cipher.getInstance" -> new TextbookColumn();
          case "raw" -> RawColumn.create("raw");
          case "Tink Aead" -> TinkColumn.plain();
          default -> Sealwax.column(kms);
        };
    return () -> column.encrypt(MESSAGE);
  }

  private static double round(Interleave.Operation task, int tasks) throws Throwable {
    OperatingSystemMXBean process =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    AtomicReference<Exception> failure = new AtomicReference<>();
    CountDownLatch done = new CountDownLatch(tasks);
    long before = process.getProcessCpuTime();
    ExecutorService executor = virtualThreads();
    try {
      for (int i = 0; i < tasks; i++) {
        executor.execute(
            () -> {
              try {
                task.run();
              } catch (Exception e) {
                failure.set(e);
              } finally {
                done.countDown();
              }
            });
      }
      done.await();
    } finally {
      executor.shutdown();
    }
    if (failure.get() != null) {
      throw failure.get();
    }
    return (process.getProcessCpuTime() - before) / 1e3 / tasks;
  }

  /** By method handle, because this class is compiled for Java 17. */
  private static ExecutorService virtualThreads() throws Throwable {
    return (ExecutorService)
        MethodHandles.publicLookup()
            .findStatic(
                Executors.class,
                "newVirtualThreadPerTaskExecutor",
                MethodType.methodType(ExecutorService.class))
            .invokeExact();
  }

  /** Ciphers that are still referenced, by the heap histogram of the JVM itself. */
  private static long liveCiphers() throws Exception {
    String histogram =
        (String)
            ManagementFactory.getPlatformMBeanServer()
                .invoke(
                    new ObjectName("com.sun.management:type=DiagnosticCommand"),
                    "gcClassHistogram",
                    new Object[] {new String[0]},
                    new String[] {String[].class.getName()});
    return histogram
        .lines()
        .map(line -> line.trim().split("\\s+"))
        .filter(fields -> fields.length > 3 && fields[3].equals("javax.crypto.Cipher"))
        .mapToLong(fields -> Long.parseLong(fields[1]))
        .sum();
  }
}
