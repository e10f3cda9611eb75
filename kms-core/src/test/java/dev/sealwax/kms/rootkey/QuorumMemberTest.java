package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.lang.ref.WeakReference;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A member whose threads all hang. */
@Timeout(60)
final class QuorumMemberTest {
  private static final int THREADS_AND_QUEUE = 64 + 1024;

  private final QuorumMember member =
      new QuorumMember(TestRootKeys.inMemory(), Set.of(), System::nanoTime);
  private final CountDownLatch release = new CountDownLatch(1);
  private final AtomicInteger ended = new AtomicInteger();

  @AfterEach
  void close() {
    release.countDown();
    member.close();
  }

  private QuorumMember.Asked ask(Answers<String, String> answers, String question) {
    return member.ask(
        answers,
        question,
        () -> {
          try {
            release.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          return "late";
        },
        ended::incrementAndGet);
  }

  @Test
  void ask_whenTooManyWait_isUnavailableAtOnceAndNotKept() throws Exception {
    try (Answers<String, String> answers = new Answers<>(late -> {})) {
      for (int i = 0; i < THREADS_AND_QUEUE; i++) {
        ask(answers, "hangs");
      }
      assertNull(answers.next(0));

      WeakReference<QuorumMember.Asked> refused = new WeakReference<>(askAndLeave(answers));

      Answers.Answer<String, String> answer = answers.next(0);
      assertEquals("refused", answer.question());
      RootKeyException failure = (RootKeyException) answer.failure();
      assertEquals(RootKeyException.Reason.UNAVAILABLE, failure.reason());
      assertTrue(failure.getMessage().contains("1024 calls wait for "), failure::getMessage);
      assertEquals(1, ended.get());
      assertFalse(member.isLast(), "it says nothing of the root key");
      while (refused.get() != null) {
        System.gc();
        Thread.sleep(10);
      }
    }
    assertEquals(1 + 1024, ended.get(), "those that have not begun never will");
  }

  /** As a caller does who has had a good answer of another member meanwhile. */
  private QuorumMember.Asked askAndLeave(Answers<String, String> answers) {
    QuorumMember.Asked asked = ask(answers, "refused");
    member.leave(asked, 0);
    return asked;
  }
}
