/**
 * The measured table of {@code docs/performance.md}: {@code PerformanceTable} runs it, one class
 * per row says how that row is measured, and the {@code *Benchmark} classes repeat the main rows
 * for those who prefer JMH.
 */
@NullMarked
package dev.sealwax.kms.examples.benchmark;

import org.jspecify.annotations.NullMarked;
