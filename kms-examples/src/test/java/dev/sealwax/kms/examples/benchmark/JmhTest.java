package dev.sealwax.kms.examples.benchmark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** The JMH benchmarks run; what they measure in a moment means nothing and is not asserted. */
final class JmhTest {
  static {
    // JMH reads it once: what other processes measure at the same time does not matter here.
    System.setProperty("jmh.ignoreLock", "true");
  }

  @Test
  void benchmarks_withEveryParameter_run() throws Exception {
    Options options =
        new OptionsBuilder()
            .include("dev\\.sealwax\\..*Benchmark")
            .forks(0)
            .warmupIterations(0)
            .measurementIterations(1)
            .measurementTime(TimeValue.milliseconds(1))
            .param("mebibytes", "1")
            .shouldFailOnError(true)
            .verbosity(VerboseMode.SILENT)
            .build();

    Map<String, Integer> runs = new TreeMap<>();
    for (RunResult result : new Runner(options).run()) {
      String name = result.getParams().getBenchmark();
      runs.merge(name.substring(Figures.class.getPackageName().length() + 1), 1, Integer::sum);
    }

    assertEquals(
        Map.of(
            "MessageBenchmark.decrypt", 15,
            "MessageBenchmark.encrypt", 15,
            "RewrapBenchmark.rewrap", 2,
            "RewrapBenchmark.rewrapHeader", 2,
            "StreamBenchmark.decrypt", 3,
            "StreamBenchmark.encrypt", 3,
            "TenantBenchmark.decrypt", 16,
            "TenantBenchmark.encrypt", 16),
        runs);
  }
}
