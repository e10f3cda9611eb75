package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetStoreException.Reason;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.SQLIntegrityConstraintViolationException;
import java.sql.SQLInvalidAuthorizationSpecException;
import java.sql.SQLSyntaxErrorException;
import java.sql.SQLTransientConnectionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class SqlStatesTest {
  @ParameterizedTest
  @CsvSource({
    "08000, UNAVAILABLE",
    "08001, UNAVAILABLE",
    "08003, UNAVAILABLE",
    "08004, UNAVAILABLE",
    "08006, UNAVAILABLE",
    "08007, UNAVAILABLE",
    "08S01, UNAVAILABLE",
    "0A000, INACCESSIBLE",
    "22001, INACCESSIBLE",
    "22021, INACCESSIBLE",
    "23505, UNAVAILABLE",
    "25001, UNAVAILABLE",
    "25006, INACCESSIBLE",
    "25P02, UNAVAILABLE",
    "25P03, UNAVAILABLE",
    "25P04, UNAVAILABLE",
    "28000, INACCESSIBLE",
    "28P01, INACCESSIBLE",
    "3D000, INACCESSIBLE",
    "3F000, INACCESSIBLE",
    "40001, UNAVAILABLE",
    "40003, UNAVAILABLE",
    "40P01, UNAVAILABLE",
    "42501, INACCESSIBLE",
    "42601, INACCESSIBLE",
    "42703, INACCESSIBLE",
    "42P01, INACCESSIBLE",
    "42P07, INACCESSIBLE",
    "42S01, INACCESSIBLE",
    "42S02, INACCESSIBLE",
    "42S22, INACCESSIBLE",
    "53100, UNAVAILABLE",
    "53200, UNAVAILABLE",
    "53300, UNAVAILABLE",
    "53400, UNAVAILABLE",
    "55006, UNAVAILABLE",
    "55P03, UNAVAILABLE",
    "57014, UNAVAILABLE",
    "57P01, UNAVAILABLE",
    "57P02, UNAVAILABLE",
    "57P03, UNAVAILABLE",
    "57P04, INACCESSIBLE",
    "57P05, UNAVAILABLE",
    "58000, UNAVAILABLE",
    "58030, UNAVAILABLE",
    "XX000, UNAVAILABLE",
    "XX001, UNAVAILABLE",
    "90013, INACCESSIBLE",
    "90079, INACCESSIBLE",
    "90096, INACCESSIBLE",
    "90097, INACCESSIBLE",
    "90146, INACCESSIBLE",
    "90098, UNAVAILABLE",
    "90131, UNAVAILABLE",
    "HYT00, UNAVAILABLE",
    "99999, UNAVAILABLE",
    "4, UNAVAILABLE",
    "42, UNAVAILABLE",
    "'', UNAVAILABLE"
  })
  void reasonOf_state(String state, Reason expected) {
    assertEquals(expected, SqlStates.reasonOf(new SQLException("x", state)));
  }

  @Test
  void reasonOf_withoutState_followsTheType() {
    assertEquals(Reason.UNAVAILABLE, SqlStates.reasonOf(new SQLException("x")));
    assertEquals(
        Reason.UNAVAILABLE, SqlStates.reasonOf(new SQLTransientConnectionException("pool")));
    assertEquals(Reason.INACCESSIBLE, SqlStates.reasonOf(new SQLSyntaxErrorException("x")));
    assertEquals(
        Reason.INACCESSIBLE, SqlStates.reasonOf(new SQLInvalidAuthorizationSpecException("x")));
    assertEquals(Reason.INACCESSIBLE, SqlStates.reasonOf(new SQLFeatureNotSupportedException("x")));
  }

  @Test
  void reasonOf_knownState_outweighsTheType() {
    assertEquals(Reason.UNAVAILABLE, SqlStates.reasonOf(new SQLSyntaxErrorException("x", "57014")));
  }

  @Test
  void isRolledBack_onlyWhenTheDatabaseSaysSo() {
    assertTrue(SqlStates.isRolledBack(new SQLException("x", "40001")));
    assertTrue(SqlStates.isRolledBack(new SQLException("x", "40P01")));
    for (String state : new String[] {"40003", "40000", "08006", "08007", "55P03", "57014", ""}) {
      assertFalse(SqlStates.isRolledBack(new SQLException("x", state)), state);
    }
    assertFalse(SqlStates.isRolledBack(new SQLException("x")));
  }

  @Test
  void isConstraint_byStateOrType() {
    assertTrue(SqlStates.isConstraint(new SQLException("x", "23505")));
    assertTrue(SqlStates.isConstraint(new SQLException("x", "23000")));
    assertTrue(SqlStates.isConstraint(new SQLIntegrityConstraintViolationException("x")));
    assertFalse(SqlStates.isConstraint(new SQLException("x", "42501")));
    assertFalse(SqlStates.isConstraint(new SQLException("x")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"42P01", "42S02", "42S03", "42S04"})
  void isMissingTable(String state) {
    assertTrue(SqlStates.isMissingTable(new SQLException("x", state)));
    assertFalse(SqlStates.isMissingTable(new SQLException("x", "42501")));
  }

  @Test
  void problemOf_isOneShortLine() {
    assertEquals(
        "ERROR: bad (SQLState 23514)",
        SqlStates.problemOf(
            new SQLException("ERROR: bad\n  Detail: Failing row contains (orders)", "23514")));
    assertEquals("SQLException", SqlStates.problemOf(new SQLException((String) null)));
    assertTrue(SqlStates.problemOf(new SQLException("x".repeat(5_000))).length() < 400);
  }
}
