/** Returns a function that creates a value on the first call and caches it, or the error thrown. */
export function once<T>(make: () => T): () => T {
  let result: { readonly value: T } | { readonly error: unknown } | undefined;
  return () => {
    if (!result)
      try {
        result = { value: make() };
      } catch (error) {
        result = { error };
      }
    if ('error' in result) throw result.error;
    return result.value;
  };
}
