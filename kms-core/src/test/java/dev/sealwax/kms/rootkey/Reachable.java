package dev.sealwax.kms.rootkey;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/** Finds the objects of this library behind another object, caches and all. */
final class Reachable {
  /** What a JVM must be started with, so that the walk gets through maps and references. */
  static final List<String> OPENS =
      List.of(
          "--add-opens=java.base/java.lang=ALL-UNNAMED",
          "--add-opens=java.base/java.util=ALL-UNNAMED",
          "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
          "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED");

  private Reachable() {}

  /** Every object of our packages that {@code roots} lead to, through any fields and arrays. */
  static List<Object> ownObjects(Object... roots) throws IllegalAccessException {
    Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    Deque<Object> toVisit = new ArrayDeque<>(List.of(roots));
    List<Object> own = new ArrayList<>();
    while (!toVisit.isEmpty()) {
      Object object = toVisit.pop();
      if (!seen.add(object) || object instanceof Class || object instanceof Thread) {
        continue;
      }
      if (object.getClass().getName().startsWith("dev.sealwax.")) {
        own.add(object);
      }
      pushChildren(object, toVisit);
    }
    return own;
  }

  private static void pushChildren(Object object, Deque<Object> toVisit)
      throws IllegalAccessException {
    Class<?> type = object.getClass();
    if (type.isArray()) {
      for (int i = 0; !type.getComponentType().isPrimitive() && i < Array.getLength(object); i++) {
        push(Array.get(object, i), toVisit);
      }
      return;
    }
    for (; type != null; type = type.getSuperclass()) {
      for (Field field : type.getDeclaredFields()) {
        if (!field.getType().isPrimitive() && !Modifier.isStatic(field.getModifiers())) {
          try {
            field.setAccessible(true);
          } catch (InaccessibleObjectException e) {
            continue; // beyond OPENS lies nothing that leads back to us
          }
          push(field.get(object), toVisit);
        }
      }
    }
  }

  private static void push(Object object, Deque<Object> toVisit) {
    if (object != null) {
      toVisit.push(object);
    }
  }
}
