package dev.sealwax.kms.examples.benchmark;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Measures the tables of {@code docs/performance.md} and prints them as Markdown.
 *
 * <p>Arguments: {@code smoke}, {@code quick} (the default) or {@code full}, then the sections
 * wanted, all if none is named. Use a quiet machine; every figure comes from JVMs started for it.
 */
public final class PerformanceTable {
  private static final Map<String, Section> SECTIONS = new LinkedHashMap<>();

  static {
    SECTIONS.put("messages", MessageSpeed::table);
    SECTIONS.put("tenants", TenantSpeed::table);
    SECTIONS.put("fresh", FreshJvm::table);
    SECTIONS.put("threads", TwoThreads::table);
    SECTIONS.put("virtual", VirtualThreads::table);
    SECTIONS.put("allocation", Allocation::table);
    SECTIONS.put("cold", ColdCache::table);
    SECTIONS.put("rewrap", RewrapSpeed::table);
    SECTIONS.put("keysets", ManyKeysets::table);
    SECTIONS.put("start", StartUp::table);
  }

  private PerformanceTable() {}

  /** Runs from the command line. */
  public static void main(String[] arguments) throws Exception {
    run(List.of(arguments), System.out);
  }

  /**
   * Measures all tables, or those named, and prints them.
   *
   * @throws IllegalArgumentException if an argument is neither a scale nor a section
   */
  static void run(List<String> arguments, PrintStream out) throws Exception {
    run(arguments, SECTIONS, out);
  }

  /** As {@link #run(List, PrintStream)}, with the sections to choose from. */
  static void run(List<String> arguments, Map<String, Section> sections, PrintStream out)
      throws Exception {
    Scale scale = Scale.QUICK;
    Map<String, Section> wanted = new LinkedHashMap<>();
    for (String argument : arguments) {
      Section section = sections.get(argument);
      if (section != null) {
        wanted.put(argument, section);
      } else {
        scale = scale(argument, sections);
      }
    }
    Path scratch = Files.createTempDirectory("sealwax-benchmark");
    try {
      out.printf(
          "JDK %s (%s), %s, %d processors, %s, scale %s%n",
          Runtime.version(),
          System.getProperty("java.vendor"),
          processor(),
          Runtime.getRuntime().availableProcessors(),
          LocalDate.now(ZoneId.systemDefault()),
          scale.name().toLowerCase(Locale.ROOT));
      ChildJvm jvm = new ChildJvm(scratch, scale);
      for (Map.Entry<String, Section> section : (wanted.isEmpty() ? sections : wanted).entrySet()) {
        out.printf("%n### %s%n%n%s", section.getKey(), section.getValue().table(jvm));
      }
    } finally {
      Scratch.delete(scratch);
    }
  }

  private static Scale scale(String argument, Map<String, Section> sections) {
    return Arrays.stream(Scale.values())
        .filter(scale -> scale.name().toLowerCase(Locale.ROOT).equals(argument))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "argument must be smoke, quick, full or one of "
                        + sections.keySet()
                        + ", got "
                        + argument));
  }

  /** The name of the processor where Linux tells it. */
  private static String processor() throws IOException {
    Path file = Path.of("/proc/cpuinfo");
    if (!Files.isReadable(file)) {
      return System.getProperty("os.arch");
    }
    try (Stream<String> lines = Files.lines(file)) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).trim())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    }
  }
}
