package dev.sealwax.kms.examples.benchmark;

/** One table of {@code docs/performance.md}: measures in other JVMs and returns Markdown. */
@FunctionalInterface
interface Section {
  String table(ChildJvm jvm) throws Exception;
}
