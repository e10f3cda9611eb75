package dev.sealwax.kms.store;

import dev.sealwax.kms.vocabulary.KmsException;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import javax.sql.DataSource;

/**
 * Runs work on connections of the application's data source, and runs it again when the database
 * undid it in favour of another transaction. Safe for any thread.
 */
final class JdbcTransactions {
  private static final int MAX_ATTEMPTS = 4;
  private static final int PAUSE_MILLIS = 10;

  /** Statements of one operation; may run several times. */
  interface Work<T> {
    T run(JdbcSession session) throws SQLException;
  }

  private final DataSource dataSource;
  private final int timeoutSeconds;

  JdbcTransactions(DataSource dataSource, Duration statementTimeout) {
    this.dataSource = dataSource;
    this.timeoutSeconds =
        Math.toIntExact(statementTimeout.plusSeconds(1).minusNanos(1).toSeconds());
  }

  /** Runs reading statements, each of which sees what was committed before it. */
  <T> T read(Work<T> work) throws SQLException {
    return withRetries(
        session -> {
          session.beginReading();
          return work.run(session);
        });
  }

  /**
   * Runs work as one transaction, and commits it unless it throws.
   *
   * @throws JdbcSession.UnknownOutcomeException if nobody knows whether it was committed
   * @throws SQLException if it was not
   */
  <T> T write(Work<T> work) throws SQLException {
    return withRetries(
        session -> {
          session.beginWriting();
          T result = work.run(session);
          session.commit();
          return result;
        });
  }

  private <T> T withRetries(Work<T> work) throws SQLException {
    for (int attempt = 1; ; attempt++) {
      try {
        return once(work);
      } catch (SQLException e) {
        if (attempt == MAX_ATTEMPTS || !SqlStates.isRolledBack(e) || !pause(attempt)) {
          throw e;
        }
      }
    }
  }

  private <T> T once(Work<T> work) throws SQLException {
    JdbcSession session = JdbcSession.borrow(dataSource, timeoutSeconds);
    T result;
    try {
      result = work.run(session);
    } catch (SQLException | KmsException | Error e) {
      session.giveUp(e);
      throw e;
    } catch (RuntimeException e) {
      SQLException failure = JdbcSession.unchecked(e); // work has no other of its own
      session.giveUp(failure);
      throw failure;
    }
    session.giveBack();
    return result;
  }

  /** Lets the other transaction finish; false if the thread is to stop instead. */
  private static boolean pause(int attempt) {
    try {
      Thread.sleep(ThreadLocalRandom.current().nextInt(attempt * PAUSE_MILLIS) + 1L);
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
