// What becomes of a file's text that was changed and not saved.

import { beforeEach, expect, it, vi } from "vitest";
import { createRenderer, defineComponent, h, nextTick, ref } from "vue";
import { createMemoryHistory, createRouter, RouterView } from "vue-router";

/** Where there is no page, components can come and go all the same. */
const { createApp } = createRenderer<object, object>({
  insert: () => {},
  remove: () => {},
  createElement: () => ({}),
  createText: () => ({}),
  createComment: () => ({}),
  setText: () => {},
  setElementText: () => {},
  patchProp: () => {},
  parentNode: () => null,
  nextSibling: () => null,
});
let leavePage: ((event: { preventDefault: () => void }) => void) | null = null;
vi.stubGlobal("addEventListener", (_: string, react: typeof leavePage) => {
  leavePage = react;
});
vi.stubGlobal("removeEventListener", () => {
  leavePage = null;
});
vi.doMock("../api/client", () => ({ api: {}, Problem: class extends Error {} }));
const user = ref("li");
vi.doMock("../state/session", () => ({ user }));
vi.doMock("../texts", () => ({ t: ref({}) }));
const { useDraft } = await import("./draft");

let page: ReturnType<typeof useDraft>;
const Page = defineComponent({
  setup() {
    page = useDraft();
    return () => null;
  },
});
const router = createRouter({
  history: createMemoryHistory(),
  routes: [
    { path: "/", component: Page },
    { path: "/other", component: defineComponent({ render: () => null }) },
  ],
});
/** Shows the page to somebody, until the returned function is called. */
async function shown(to = "li"): Promise<() => void> {
  user.value = to;
  await router.push("/");
  const app = createApp({ render: () => h(RouterView) });
  app.use(router).mount({});
  return () => {
    // As a sign-in that has ended does.
    user.value = "";
    app.unmount();
  };
}
const file = { is: "as it was", etag: '"1"' };
const later = { is: "as others left it", etag: '"2"' };
const at = { kind: "lexicons", name: "anger" };
const path = () => router.currentRoute.value.path;

let end: () => void;
beforeEach(async () => {
  end = await shown();
  page.begin(at, file, file.is);
});

it("is left freely where nothing was changed", async () => {
  const stop = vi.fn();
  leavePage?.({ preventDefault: stop });
  await router.push("/other");
  expect([path(), stop.mock.calls.length, page.asksToLose.value]).toEqual(["/other", 0, false]);
  end();
});

it("is lost only by whoever says so", async () => {
  page.draft.value = "changed";
  const stop = vi.fn();
  leavePage?.({ preventDefault: stop });
  expect(stop).toHaveBeenCalledOnce();
  const going = router.push("/other");
  await vi.waitFor(() => expect(page.asksToLose.value).toBe(true));
  await page.keep();
  await going;
  expect([path(), page.draft.value, page.asksToLose.value]).toEqual(["/", "changed", false]);

  const goingOn = router.push("/other");
  await vi.waitFor(() => expect(page.asksToLose.value).toBe(true));
  // Whoever confirms closes the question, too.
  void page.keep();
  page.lose(true);
  await goingOn;
  expect(path()).toBe("/other");
  end();
  end = await shown();
  expect(page.keptOf(["lexicons"])).toBeUndefined();
  end();
});

it("is asked about before another file is opened", async () => {
  expect(await page.mayLose()).toBe(true);
  page.draft.value = "changed";
  const asked = page.mayLose();
  page.lose(false);
  expect([await asked, page.draft.value]).toEqual([false, "changed"]);
  const again = page.mayLose();
  page.lose(true);
  expect([await again, page.draft.value]).toEqual([true, "as it was"]);
  end();
});

it("is kept over a sign-in, for the one who changed it and for the file as it was read", async () => {
  page.draft.value = "changed";
  end();
  end = await shown("wang");
  expect(page.keptOf(["lexicons"])).toBeUndefined();
  page.begin(at, later, later.is);
  expect(page.draft.value).toBe("as others left it");
  end();

  end = await shown();
  expect([page.keptOf(["phrases"]), page.keptOf(["lexicons"])]).toMatchObject([undefined, at]);
  page.begin(at, later, later.is);
  expect([page.draft.value, page.file.value]).toEqual(["changed", file]);
  await nextTick();
  const asked = page.mayLose();
  page.lose(true);
  expect([await asked, page.draft.value]).toEqual([true, "as it was"]);
  page.begin(at, later, later.is);
  expect(page.draft.value).toBe("as others left it");
  end();
});
