// Bundles the views into the one module that the kernel hands to the page.
import { readFile } from "node:fs/promises";
import { build, context, transform } from "esbuild";

// Style sheets travel as text, without what only their readers need.
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minifyWhitespace: true });
      return { contents: code, loader: "text", watchFiles: [path] };
    });
  },
};

const options = {
  entryPoints: ["src/screen.ts"],
  outfile: "quire_widgets/static/screen.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  // Graphviz travels as one long string; escaping it would add a third to its size.
  charset: "utf8",
  plugins: [styles],
  legalComments: "none",
  logLevel: "info",
};

if (process.argv.includes("--watch")) await (await context(options)).watch();
else await build(options);
