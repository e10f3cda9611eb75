package dev.sealwax.kms.store;

import dev.sealwax.kms.guard.DaemonThreads;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Waits on a connection of its own for PostgreSQL to tell of writes, and passes that on to a {@link
 * WriteSignal}.
 *
 * <p>One daemon thread, from {@link #start} to {@link #close}. A lost connection is opened anew
 * after a pause that doubles from failure to failure; after each opening one signal is given, for
 * what was written while nobody listened.
 */
final class PostgresListener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PostgresListener.class);

  // A connection that died without a word (a firewall that forgot it) is noticed this late.
  private static final Duration SILENCE = Duration.ofSeconds(20);
  private static final long FIRST_PAUSE_MILLIS = 100;
  private static final long MAX_PAUSE_MILLIS = 30_000;

  private final DataSource dataSource;
  private final String channel;
  private final WriteSignal signal;
  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile @Nullable Connection connection;

  private PostgresListener(DataSource dataSource, String channel, WriteSignal signal) {
    this.dataSource = dataSource;
    this.channel = channel;
    this.signal = signal;
  }

  static PostgresListener start(DataSource dataSource, String channel, WriteSignal signal) {
    PostgresListener listener = new PostgresListener(dataSource, channel, signal);
    DaemonThreads.factory("sealwax-store-listener").newThread(listener::run).start();
    return listener;
  }

  /** Ends the thread, without waiting for it. */
  @Override
  public void close() {
    ended.countDown();
    Connection open = connection;
    if (open != null) {
      try {
        open.abort(Runnable::run); // the thread is reading from it, so it would not answer a close
      } catch (SQLException | RuntimeException e) {
        // Then the thread ends with its next look at the connection.
      }
    }
  }

  private boolean isEnded() {
    return ended.getCount() == 0;
  }

  private void run() {
    long pause = FIRST_PAUSE_MILLIS;
    boolean failing = false;
    try {
      do {
        try (Connection opened = dataSource.getConnection()) {
          connection = opened;
          PostgresNotifications notifications = PostgresNotifications.listen(opened, channel);
          if (failing) {
            LOG.info("listening for changes of {} again", channel);
          }
          pause = FIRST_PAUSE_MILLIS;
          failing = false;
          signal.signal();
          while (!isEnded()) {
            if (notifications.await(SILENCE)) {
              signal.signal();
            }
          }
        } catch (SQLException | RuntimeException e) {
          if (!failing && !isEnded()) {
            LOG.warn("not listening for changes of {}; they are polled for", channel, e);
            failing = true;
          }
        } finally {
          connection = null;
        }
        pause = Math.min(2 * pause, MAX_PAUSE_MILLIS);
      } while (!ended.await(pause, TimeUnit.MILLISECONDS));
    } catch (LinkageError e) {
      LOG.warn("not listening for changes of {}: there is no PostgreSQL driver", channel, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // not by us; whoever did wants this thread to end
    }
  }
}
