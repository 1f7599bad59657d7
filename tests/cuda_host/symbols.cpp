#include "symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>

namespace convolt::cuda_host {
namespace {

struct Symbol {
  std::string name;
  std::size_t begin;
  std::size_t bytes;
  int file;  // which source file a local symbol is from; 0 for all others
  bool is_variable;
};

struct Module {
  std::string path;
  std::size_t base;
};

// The loaded module that holds an address.
Module module_of(std::size_t address) {
  struct Search {
    std::size_t address;
    Module found;
  } search{address, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const std::size_t begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type != PT_LOAD || wanted.address - begin >= segment.p_memsz) continue;
          const bool program = info->dlpi_name[0] == '\0';
          const char* const path = program ? "/proc/self/exe" : info->dlpi_name;
          wanted.found = {std::filesystem::canonical(path), info->dlpi_addr};
          return 1;
        }
        return 0;
      },
      &search);
  return search.found;
}

// Functions and objects in the symbol table of an ELF file.
std::vector<Symbol> symbols_of(const Module& module) {
  std::ifstream stream(module.path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  std::vector<Symbol> symbols;
  if (file.size() < sizeof(ElfW(Ehdr))) return symbols;
  const auto* const header = reinterpret_cast<const ElfW(Ehdr)*>(file.data());
  const auto* const sections = reinterpret_cast<const ElfW(Shdr)*>(file.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* const names = file.data() + sections[sections[i].sh_link].sh_offset;
    const auto* const entries =
        reinterpret_cast<const ElfW(Sym)*>(file.data() + sections[i].sh_offset);
    int source = 0;
    for (std::size_t j = 0; j < sections[i].sh_size / sizeof(ElfW(Sym)); ++j) {
      const ElfW(Sym) & entry = entries[j];
      const int type = ELF64_ST_TYPE(entry.st_info);
      if (type == STT_FILE) ++source;
      if ((type != STT_FUNC && type != STT_OBJECT) || entry.st_shndx == SHN_UNDEF) continue;
      const bool local = ELF64_ST_BIND(entry.st_info) == STB_LOCAL;
      const bool writable = (sections[entry.st_shndx].sh_flags & SHF_WRITE) != 0;
      symbols.push_back({names + entry.st_name, module.base + entry.st_value, entry.st_size,
                         local ? source : 0, writable});
    }
  }
  return symbols;
}

std::string demangled(const std::string& name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

struct Function {
  std::string name;
  std::vector<SharedArray> arrays;
};

Function describe(std::size_t address) {
  static std::map<std::string, std::vector<Symbol>> modules;
  const Module module = module_of(address);
  auto& symbols = modules[module.path];
  if (symbols.empty()) symbols = symbols_of(module);
  for (const Symbol& kernel : symbols) {
    if (kernel.begin != address || kernel.name.compare(0, 2, "_Z") != 0) continue;
    Function function{demangled(kernel.name), {}};
    const std::string prefix = "_ZZ" + kernel.name.substr(2) + "E";
    for (const Symbol& symbol : symbols) {
      // A lambda or a constant within the kernel has such a name too.
      if (!symbol.is_variable) continue;
      // Two files may each have a kernel of the same name that is local to it.
      if (kernel.file != 0 && symbol.file != kernel.file) continue;
      if (symbol.name.compare(0, prefix.size(), prefix) == 0) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): the symbol table has numbers.
        void* const data = reinterpret_cast<void*>(symbol.begin);
        function.arrays.push_back({demangled(symbol.name), data, symbol.bytes});
      }
    }
    return function;
  }
  throw std::runtime_error(module.path + " has no symbol of a kernel: it must not be stripped");
}

const Function& known(const void* function) {
  static std::map<const void*, Function> functions;
  const auto found = functions.find(function);
  if (found != functions.end()) return found->second;
  return functions[function] = describe(reinterpret_cast<std::size_t>(function));
}

}  // namespace

const std::string& function_name(const void* function) { return known(function).name; }

std::string code_location(const void* code) {
  const auto address = reinterpret_cast<std::size_t>(code);
  const Module module = module_of(address);
  std::ostringstream text;
  text << module.path.substr(module.path.rfind('/') + 1) << "+0x" << std::hex
       << address - module.base;
  return text.str();
}

const std::vector<SharedArray>& shared_arrays(const void* function) {
  return known(function).arrays;
}

std::size_t shared_bytes(const void* function) {
  std::size_t bytes = 0;
  for (const SharedArray& array : known(function).arrays) bytes += array.bytes;
  return bytes;
}

}  // namespace convolt::cuda_host
