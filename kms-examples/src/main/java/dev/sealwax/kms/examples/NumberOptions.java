package dev.sealwax.kms.examples;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Options of the form {@code --name NUMBER}, each with its usual value. For one thread. */
public final class NumberOptions {
  private record Range(int least, int most) {}

  private final Map<String, Range> wholeNumbers = new LinkedHashMap<>();
  private final Map<String, Double> values = new LinkedHashMap<>();

  /** Adds an option whose value is a whole number. */
  public NumberOptions withWhole(String option, int usual, int least, int most) {
    wholeNumbers.put(option, new Range(least, most));
    values.put(option, (double) usual);
    return this;
  }

  /** Adds an option whose value is any number that is not negative. */
  public NumberOptions withNumber(String option, double usual) {
    values.put(option, usual);
    return this;
  }

  /**
   * Takes what the user says.
   *
   * @throws InputException if an option is unknown, has no value, or one that it cannot have
   */
  public NumberOptions parse(List<String> arguments) {
    Deque<String> rest = new ArrayDeque<>(arguments);
    while (!rest.isEmpty()) {
      String option = rest.remove();
      if (!values.containsKey(option)) {
        throw new InputException("unknown option " + option);
      }
      if (rest.isEmpty()) {
        throw new InputException(option + " needs a value");
      }
      Range range = wholeNumbers.get(option);
      String value = rest.remove();
      values.put(
          option,
          range == null ? number(option, value) : whole(option, value, range.least, range.most));
    }
    return this;
  }

  public int whole(String option) {
    return (int) number(option);
  }

  public double number(String option) {
    Double value = values.get(option);
    if (value == null) {
      throw new IllegalArgumentException("no such option: " + option);
    }
    return value;
  }

  /**
   * Reads a whole number.
   *
   * @throws InputException if it is none, or out of range
   */
  public static int whole(String option, String value, int least, int most) {
    try {
      int number = Integer.parseInt(value);
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new InputException(
        option + " must be a whole number from " + least + " to " + most + ", got " + value);
  }

  /**
   * Reads a number.
   *
   * @throws InputException if it is none, negative or more than 1e12
   */
  public static double number(String option, String value) {
    try {
      double number = Double.parseDouble(value);
      if (number >= 0 && number <= 1e12) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new InputException(option + " must be a number from 0 to 1e12, got " + value);
  }
}
